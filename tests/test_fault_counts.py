"""How faults are counted, by tests/faults/conftest.py."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

COUNTS = Path(__file__).parent / "faults" / "conftest.py"
PLANTS = """
import pytest

def test_it(fault):
    each = fault("disk", "the disk is odd", "all is well", full=2)
    for number in each.rounds:
        with each.once(number):
            {}
"""


@pytest.mark.parametrize(
    ("happens", "code", "said"),
    [
        ("pass", 0, "1 passed"),
        ("assert number", 1, "lost 1 of 2"),
        ("each.times = 3", 1, "tried 2 of 3"),
        ("pytest.skip('needs an odd disk')", 0, "1 skipped"),
        ("assert number; pytest.skip('needs an odd disk')", 1, "lost 1 of 2"),
    ],
)
def test_a_loss_fails_and_what_this_machine_cannot_plant_is_skipped(tmp_path, happens, code, said):
    folder = tmp_path / "tests" / "faults"
    folder.mkdir(parents=True)
    shutil.copy(COUNTS, folder)
    (tmp_path / "results").mkdir()
    (folder / "test_it.py").write_text(PLANTS.format(happens))
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", folder],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(COUNTS.parent.parent.parent)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    assert said in done.stdout
    assert "lost" in done.stdout or "skip" in happens  # a fault that was not planted is not told
