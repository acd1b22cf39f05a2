"""The supply chain: what is installed is pinned, and what is imported asks nobody for anything."""

import json
import os
import random
import re
import statistics
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from servers import Handler, listening

ROOT = Path(__file__).parent.parent.parent
PACKAGE = ROOT / "songtitle"
LIMIT = 2.0  # seconds

# Runs before anything else in a child: whatever would reach the network ends the process.
GUARD = """
import os, sys
WATCHED = ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr",
           "socket.sendto", "socket.sendmsg", "urllib.Request", "http.client.connect",
           "ftplib.connect", "smtplib.connect", "webbrowser.open")
def watch(event, arguments):
    if event in WATCHED:
        os.write(2, f"reached for the network: {event} {arguments}\\n".encode())
        os._exit(77)
sys.addaudithook(watch)
"""
STRICT = GUARD.replace('"socket.connect"', '"socket.__new__", "socket.connect"')  # not even one


def public_modules():
    """Every module of the package by its full name, private ones left out."""
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        name = ".".join(parts).removesuffix(".__init__")
        if not any(part.startswith("_") for part in name.split(".")) or name.endswith("__main__"):
            found.append(name)
    return found


def child(code, **environment):
    """Run Python code in a process of its own, in which this checkout comes first."""
    set_here = ("PROXY", "NO_ALBUMENTATIONS")  # by the machine, by songtitle in this process
    before = {
        name: value
        for name, value in os.environ.items()
        if not any(part in name.upper() for part in set_here)
    }
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**before, "PYTHONPATH": str(ROOT), **environment},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def entries():
    """The lock cut into its pins, each with its hashes."""
    text = re.sub(r"^\s*#.*\n", "", (ROOT / "requirements.lock").read_text("utf-8"), flags=re.M)
    return [each for each in re.split(r"\n(?=\S)", text.strip()) if each]


def test_every_pin_is_exact_and_hashed(fault):
    pins = entries()
    each = fault(
        "supply",
        "a pinned package has been exchanged at its source",
        "its hash is in the lock, and pip refuses any other: every pin counts as one time",
        full=len(pins),
    )
    for number in each.rounds:
        name = pins[number].split(" ")[0]
        with each.once(name):
            assert re.match(r"[a-z0-9][a-z0-9._-]*==[^\s;]+( ;[^\n]*)? \\\n", pins[number] + "\n")
            hashes = re.findall(r"--hash=(\S+)", pins[number])
            assert hashes
            assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", digest) for digest in hashes)
            assert not re.search(r"://|@|git\+|--(extra-)?index|--find-links", pins[number])


def test_an_exchanged_package_is_not_installed(fault, tmp_path):
    each = fault(
        "supply",
        "a file of another content is offered under a pinned name and version",
        "pip refuses it by its hash",
        full=3,
        few=1,
    )
    import zipfile

    for number in each.rounds:
        offered, out = tmp_path / f"offered{number}", tmp_path / f"out{number}"
        offered.mkdir()
        info = "songtitle_pinned-1.0.dist-info"
        with zipfile.ZipFile(offered / "songtitle_pinned-1.0-py3-none-any.whl", "w") as wheel:
            wheel.writestr("songtitle_pinned.py", f"exchanged = {number}")
            wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: songtitle-pinned\n")
            wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
            wheel.writestr(f"{info}/RECORD", "")
        lock = tmp_path / "requirements.lock"
        lock.write_text(f"songtitle-pinned==1.0 --hash=sha256:{number:064x}\n")
        with each.once(number):
            command = [sys.executable, "-m", "pip", "install", "--require-hashes", "--no-index"]
            command += ["--no-deps", "--find-links", offered, "--target", out, "-r", lock]
            done = subprocess.run(
                [*command, "--disable-pip-version-check"],
                capture_output=True,
                text=True,
                check=False,
            )
            if "No module named pip" in done.stderr:
                pytest.skip("needs pip in this environment")
            assert done.returncode != 0
            assert "DO NOT MATCH THE HASHES" in done.stderr
            assert not list(out.rglob("songtitle_pinned.py"))


@contextmanager
def list_of_holes(names):
    """A list of known holes on this machine, in which the named packages have one each."""

    class Holes(Handler):
        def do_POST(self):
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["package"]
            of = {
                "package": asked,
                "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}]}],
            }
            hole = {"id": "HOLE-1", "details": "a hole", "affected": [of]}
            body = json.dumps({"vulns": [hole]} if asked["name"] in names else {}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    with listening(Holes) as server:
        yield f"http://127.0.0.1:{server.server_port}/"


def audited(address):
    """What `make audit` says, asking the list at `address`: its status and its words."""
    (recipe,) = re.findall(r"^audit:.*\n\t@(.+)", (ROOT / "Makefile").read_text("utf-8"), re.M)
    program, *arguments = recipe.replace("$(BIN)", str(Path(sys.executable).parent)).split()
    command = [program, *arguments, "--osv-url", address]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def test_a_known_hole_in_a_pinned_package_is_named(fault):
    each = fault(
        "supply",
        "a pinned package has a hole that is on a public list",
        "`make audit` names it and ends with an error",
        full=20,
        few=2,
    )
    with list_of_holes([]) as address:
        assert audited(address)[0] == 0
    # Pins for some other system or Python are not installed here, nor asked for.
    pins = [each.split("==")[0] for each in entries() if " ; " not in each.split("\n")[0]]
    for name in random.Random(int(time.time())).sample(pins, len(each.rounds)):
        with each.once(name), list_of_holes([name]) as address:
            status, said = audited(address)
            assert status == 1
            assert re.search(rf"^{name} +\S+ +HOLE-1", said, re.M), said[-300:]


IMPORT_EACH = """
import importlib
for name in {names!r}:
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:  # an extra that is not installed
        if (error.name or "").startswith("songtitle"):
            raise
    print("imported", name, flush=True)
"""


def test_no_import_reaches_for_the_network(fault):
    names = public_modules()
    each = fault(
        "supply",
        "a module is imported where every connection is watched",
        "no name is looked up and nothing is connected to: every public module counts as one time",
        full=len(names),
    )
    # One process imports all in turn; where one reaches out, the next process goes on after it.
    waiting = list(names)
    while waiting:
        done = child(GUARD + IMPORT_EACH.format(names=waiting), MPLBACKEND="Agg")
        came = re.findall(r"^imported (\S+)$", done.stdout, re.M)
        for name in came:
            with each.once(name):
                assert name in names
        waiting = waiting[len(came) :]
        if waiting:
            with each.once(waiting[0]):
                pytest.fail(done.stderr[-400:])
            waiting.pop(0)


def test_the_watch_sees_a_connection():
    for code in (
        "import socket; socket.create_connection(('127.0.0.1', 9))",
        "import urllib.request; urllib.request.urlopen('http://127.0.0.1:9')",
    ):
        assert child(GUARD + code).returncode == 77
    assert child(STRICT + "import socket; socket.socket()").returncode == 77


LIGHT = [
    ("import songtitle", ["-c", "import songtitle"]),
    ("python -m songtitle --help", ["-m", "songtitle", "--help"]),
    ("python -m songtitle fetch --help", ["-m", "songtitle", "fetch", "--help"]),
    ("python -m songtitle run --help", ["-m", "songtitle", "run", "--help"]),
]


def test_the_command_line_is_there_at_once_without_network(fault, tmp_path):
    each = fault(
        "supply",
        "there is no network at the start",
        "`import songtitle` and `python -m songtitle --help` are done within 2 s (medians)",
        full=20 * len(LIGHT),
        few=3 * len(LIGHT),
    )
    (tmp_path / "sitecustomize.py").write_text(STRICT)
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}
    took = {name: [] for name, _ in LIGHT}
    for number in each.rounds:
        name, arguments = LIGHT[number % len(LIGHT)]
        with each.once(name):
            started = time.monotonic()
            done = subprocess.run(
                [sys.executable, *arguments],
                env=environment,
                cwd=ROOT,
                capture_output=True,
                text=True,
                check=False,
            )
            took[name].append(time.monotonic() - started)
            assert done.returncode == 0, done.stderr[-400:]
            assert "usage" in done.stdout or name.startswith("import")
    for name, seconds in took.items():
        assert statistics.median(seconds) < LIMIT, f"{name}: {seconds}"


# Libraries whose only work is to tell somebody else what a program does.
TELLTALES = re.compile(
    "sentry_sdk|posthog|segment|analytics|mixpanel|amplitude|bugsnag|rollbar|datadog|ddtrace|"
    "newrelic|opentelemetry|statsd|honeycomb|scarf|wandb|comet_ml|mlflow|neptune|clearml"
)


def test_nothing_tells_anybody_what_is_done(fault):
    names = public_modules()
    each = fault(
        "supply",
        "a module could tell somebody what the reader does",
        "none names a telemetry library or a way to send: every public module counts as one time",
        full=len(names) + 1,
    )
    senders = re.compile(
        r"\.post\(|\.put\(|method=\"(POST|PUT)\"|smtplib|telnetlib|xmlrpc|websocket|getpass\.getuser"
        r"|gethostname|getnode\("
    )
    for name in names:
        path = ROOT.joinpath(*name.split("."))
        file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        with each.once(name):
            source = file.read_text("utf-8")
            imported = re.findall(r"^\s*(?:import|from) ([\w.]+)", source, re.M)
            assert not [each for each in imported if TELLTALES.match(each.split(".")[0])]
            # A queue's `put` is no way to send.
            assert not [
                found
                for found in senders.findall(re.sub(r"done\.put|waiting\.put", "", source))
                if found
            ]
    with each.once("what is loaded"):
        code = "import sys, songtitle, songtitle.__main__; print(*sys.modules)"
        loaded = child(code).stdout.split()
        assert not [module for module in loaded if TELLTALES.match(module.split(".")[0])]
        assert not [
            module for module in ("requests", "urllib3", "http.client", "torch") if module in loaded
        ]
