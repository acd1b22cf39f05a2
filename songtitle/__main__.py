"""The command line: `python -m songtitle {fetch,verify,run,title,status}`."""

import argparse
import json
import os
import sys
from pathlib import Path

from songtitle.errors import InputError


def main(arguments: list[str] | None = None) -> int:
    """Run one command; 0 if all went well, 2 after a one-line message that says what to do."""
    options = _parser().parse_args(arguments)
    try:
        return options.command(options)
    except InputError as error:
        print(f"songtitle: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("songtitle: stopped; the same command goes on from here", file=sys.stderr)
        return 130
    except BrokenPipeError:  # `... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="songtitle", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="{fetch,verify,run,title,status}")

    fetch = commands.add_parser("fetch", help="bring the quick data to the data home")
    fetch.add_argument("source", nargs="?", default="stamps", help="stamps (default)")
    fetch.add_argument("--archive", type=Path, help="a stamps archive that is already here")
    fetch.set_defaults(command=_fetch)

    verify = commands.add_parser("verify", help="check every file against its sha256")
    verify.set_defaults(command=_verify)

    run = commands.add_parser("run", help="run the notebooks and build the book")
    run.add_argument("notebook", nargs="*", help="some notebooks only, such as 04_search; no book")
    run.add_argument("--preset", default="quick")
    run.add_argument("--seed", type=int)
    run.add_argument("--device", help="auto, cpu, cuda or mps")
    run.add_argument("-p", nargs=2, action="append", default=[], metavar=("NAME", "VALUE"))
    run.add_argument("--output", type=Path, help="folder for executed notebooks (some: here)")
    run.add_argument("--no-book", action="store_true", help="run the notebooks only")
    run.set_defaults(command=_run)

    title = commands.add_parser("title", help="name audio files")
    title.add_argument("file", nargs="+", type=Path, help="mp3, ogg, flac or wav")
    title.add_argument("--beam-size", type=int, default=5, help="hypotheses kept (default 5)")
    title.add_argument("--json", action="store_true", help="one JSON object a line")
    title.set_defaults(command=_title)

    status = commands.add_parser("status", help="what is fetched, computed and trained")
    status.set_defaults(command=_status)
    return parser


def _fetch(options: argparse.Namespace) -> int:
    from songtitle.datasets import stamps
    from songtitle.manifest import data_home

    if options.source != "stamps":
        msg = f"fetch: expected stamps, got {options.source!r}; the tunes come with the packages"
        raise InputError(msg)
    print(stamps.fetch(data_home(), archive=options.archive))
    return 0


def _verify(_: argparse.Namespace) -> int:
    from songtitle.datasets import stamps, tunes
    from songtitle.manifest import data_home

    faults = 0
    for name, problems in (("stamps", stamps.verify(data_home())), ("tunes", tunes.verify())):
        for what, paths in zip(("missing", "corrupt"), problems, strict=True):
            for path in paths:
                print(f"{name}: {what}: {path}")
                faults += 1
    print("all files verified" if not faults else f"{faults} files are not right; fetch again")
    return 2 if faults else 0


def _run(options: argparse.Namespace) -> int:
    from songtitle import reproduce

    changes = {"seed": options.seed, "device": options.device} | dict(options.p)
    chosen = [_notebook(name, reproduce.SOURCES) for name in options.notebook]
    for path in chosen:
        given = {key: value for key, value in changes.items() if value is not None}
        reproduce.check_parameters(path, {"preset": options.preset} | given)
    output = options.output or (Path.cwd() if chosen else reproduce.EXECUTED)
    reproduce.run(options.preset, chosen=chosen, output=output, **changes)
    if not chosen and not options.no_book and output == reproduce.EXECUTED:
        print(f"The book is built. Open {reproduce.build().as_uri()}")
    return 0


def _notebook(name: str, folder: Path) -> Path:
    path = Path(name)
    return path if path.suffix == ".ipynb" else folder / f"{path.name}.ipynb"


def _title(options: argparse.Namespace) -> int:
    if options.beam_size < 1:
        msg = f"--beam-size: expected a positive number, got {options.beam_size}"
        raise InputError(msg)
    from songtitle.experiment import name_songs

    faults = 0
    for path, found in name_songs(options.file, beam_size=options.beam_size):
        if isinstance(found, InputError):
            faults += 1
            if options.json:
                print(json.dumps({"file": str(path), "error": str(found)}, ensure_ascii=False))
            print(f"songtitle: {found}", file=sys.stderr)
        elif options.json:
            titles = [{"title": title, "log_prob": log_prob} for title, log_prob in found]
            print(json.dumps({"file": str(path), "titles": titles}, ensure_ascii=False))
        else:
            print(path)
            for title, log_prob in found:
                print(f"  {log_prob:8.2f}  {title}")
    return 2 if faults else 0


def _status(_: argparse.Namespace) -> int:
    from songtitle.datasets import stamps
    from songtitle.manifest import data_home
    from songtitle.stages import finished

    home = data_home()
    print(f"data home: {home}")
    print(f"stamps: {'fetched' if stamps.is_fetched(home) else 'not fetched; run `make data`'}")
    for record in finished(home):
        started = record.provenance["started"]
        print(f"{record.stage}/{record.key}  {started}  {record.timing['seconds']:.1f} s")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
