"""`python -m benchmarks [SUBJECT ...]`: measure, print one table, keep it for the page on speed.

Every subject runs in a process of its own, so that none inherits another's memory, threads or
compiled code. Exits 1 when a ratio is not met.
"""

import argparse
import importlib
import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from songtitle.cache import OWN, code_of_text, provenance

HERE = Path(__file__).parent
HELPERS = ("__init__", "__main__", "harness", "repeats")


def subjects() -> list[str]:
    """The subjects, one a module."""
    return sorted(path.stem for path in HERE.glob("*.py") if path.stem not in HELPERS)


def measure(subject: str, *, quick: bool = False) -> dict[str, Any]:
    """Everything that one subject measures, as JSON has it."""
    from benchmarks.harness import machine

    module = importlib.import_module(f"benchmarks.{subject}")
    rows = module.rows(quick) if hasattr(module, "rows") else []
    growth = module.growth(quick) if hasattr(module, "growth") else []
    return {
        "subject": subject,
        "about": (module.__doc__ or "").splitlines()[0],
        "machine": machine(),
        "provenance": provenance()
        | {"finished": datetime.now(UTC).isoformat(timespec="seconds"), "quick": quick},
        "code": code_of_text(Path(str(module.__file__)).read_text("utf-8"), module.__name__),
        "rows": [row.as_dict() for row in rows],
        "growth": [each.as_dict() for each in growth],
    }


def show(found: dict[str, Any]) -> int:
    """Print one subject's lines; how many bounds were not met."""
    missed = 0
    for row in found["rows"]:
        bound = ""
        if row["at_most"] is not None:
            bound += f" <= {row['at_most']:g}"
        if row["at_least"] is not None:
            bound += f" >= {row['at_least']:g}"
        verdict = "" if not bound else "met" if row["met"] else "NOT MET"
        missed += bool(bound) and not row["met"]
        line = f"{found['subject']:<10} {row['what']:<44} {row['quantity']:<54}"
        print(f"{line} {row['value']:>9.4g}{bound:<10} {verdict:<8} {row['peer']}", flush=True)
    for each in found["growth"]:
        line = f"{found['subject']:<10} {each['what']:<44} {each['unit']} against {each['against']}"
        print(f"{line:<110} exponent {each['exponent']:.2f}", flush=True)
    return missed


def main(arguments: list[str] | None = None) -> int:
    """Run the subjects named, or all of them."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("subject", nargs="*", choices=[*subjects(), []], help="all by default")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, to see that it runs")
    parser.add_argument("--output", type=Path, help="folder of the records (quick runs keep none)")
    parser.add_argument("--json", action="store_true", help="print one subject as JSON")
    chosen = parser.parse_args(arguments)
    if chosen.json:
        print(json.dumps(measure(chosen.subject[0], quick=chosen.quick)))
        return 0
    folder = chosen.output or (None if chosen.quick else OWN / "benchmarks")
    missed = 0
    for subject in chosen.subject or subjects():
        command = [sys.executable, "-m", "benchmarks", subject, "--json"]
        command += ["--quick"] if chosen.quick else []
        done = subprocess.run(
            command, cwd=HERE.parent, stdout=subprocess.PIPE, text=True, check=False
        )
        if done.returncode:
            print(f"{subject}: stopped with exit code {done.returncode}; its error is above")
            missed += 1
            continue
        found = json.loads(done.stdout.splitlines()[-1])
        missed += show(found)
        if folder:
            folder.mkdir(parents=True, exist_ok=True)
            text = json.dumps(found, indent=1, ensure_ascii=False) + "\n"
            (folder / f"{subject}.json").write_text(text, "utf-8")
    print("every bound met" if not missed else f"{missed} not met")
    return 1 if missed and not chosen.quick else 0


if __name__ == "__main__":
    sys.exit(main())
