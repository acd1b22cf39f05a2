"""Packages of Debian and Ubuntu as archives: downloaded by apt, unpacked in part, not installed."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from songtitle.corpora.manifest import extract
from songtitle.errors import InputError


def download(wanted: str, folder: Path) -> Path | str:
    """Fetch a package (`name`, or `name=version`, a pattern) into `folder` by `apt-get download`.

    Gives the archive, or what apt says where there is none: nothing where this system has no apt.
    """
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        return ""
    command = ["apt-get", "download", "-q", wanted]
    outcome = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    found = sorted(folder.glob("*.deb"))
    if outcome.returncode == 0 and found:
        return found[0]
    lines = outcome.stderr.strip().splitlines() or [f"status {outcome.returncode}"]
    return f"apt-get download: {lines[-1]}"


def unpack(archive: Path, folder: Path, members: Callable[[str], str | None]) -> list[str]:
    """Extract some files of a package as `manifest.extract` does.

    Raises InputError where dpkg-deb is not installed, and as `extract` does.
    """
    # dpkg-deb and not tarfile: Ubuntu packs with zstd, which Python reads from 3.14 on.
    if not shutil.which("dpkg-deb"):
        msg = f"{archive}: expected dpkg-deb to unpack it, it is not installed; use another archive"
        raise InputError(msg)
    command = ["dpkg-deb", "--fsys-tarfile", str(archive)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        return extract(process.stdout, folder, members, label=str(archive))
