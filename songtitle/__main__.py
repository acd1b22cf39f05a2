"""The command line: `python -m songtitle COMMAND`, such as fetch, run, title, course or status."""

import argparse
import json
import os
import re
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from songtitle import progress
from songtitle.errors import InputError

COMMANDS = (
    "{fetch,verify,count,rehearse,plan,run,select,features,train,settings,"
    "title,course,grade,status}"
)
NAMES = (
    "Change any setting with -p, such as -p spectrogram.hop_length 128, -p training.epochs 3 or "
    "-p views 1; `python -m songtitle settings` lists them all."
)
SELECTING = (
    "Select captioned pictures from WebDataset shards by size, and hold out whole shards for "
    "validation and test. Shards named train and shards named validation are never mixed."
)
AGAIN = (
    "Run the same command again to resume; start it with `accelerate launch -m` or `torchrun -m` "
    "to use every GPU. "
)
TRAINING = "Train the captioner on pictures in WebDataset shards, or on their stored features. "
FEATURES = "Run the frozen encoder once over pictures in WebDataset shards and store the features. "
TRAIN_FLAGS = {  # settings that `train` has a flag for, which is named as the last part
    "model.encoder": "image network, such as resnet152",
    "model.weights": "its weights: imagenet, none, or the path of a state dict",
    "model.decoder": "language model: lstm, attention or transformer",
    "model.fine_tune": "train the encoder too, instead of freezing it",
    "training.batch_size": "examples in a batch, for each process",
    "training.accumulate": "batches to accumulate for one update",
    "training.epochs": "passes over the training pictures",
    "training.checkpoint_every": "updates between two checkpoints (default: one an epoch)",
    "training.seed": "random seed for order, crops and initial weights",
    "training.learning_rate": "learning rate of Adam",
    "training.schedule": "how the learning rate changes: constant or cosine",
    "training.precision": "numbers to compute with: fp32 or bf16",
    "device": "where to compute: auto, cpu, cuda or mps",
    "crop": "side of the square that the encoder sees, in pixels",
    "min_count": "occurrences that put a word in the vocabulary",
}
FEATURE_FLAGS = ("model.encoder", "model.weights", "device", "crop")
VIEWS = "how pictures are cropped: raw, at their own size (default), or scaled, shorter side first"
CORPORA = "data to run on: book, samples, paper, rehearsal, a TOML file, or a folder of shards"
HELD_OUT = "fewest pictures to hold out for each split (default 1000)"
DECODING = "processes that decode, for each that trains"
DISTRIBUTORS = ("multiprocessing", "ray", "pyspark")
CHANGES: Any = dict(nargs=2, action="append", default=[], metavar=("NAME", "VALUE"))  # noqa: C408
FILES = {"model.weights", "model.word_vectors", "corpora"}  # settings that may be a file's path
FOLDERS = {"runs"}  # and that of a folder
FORECAST = "forecast.json"  # a run leaves, beside its notebooks, what was told and what it took

Said = Iterator[str | InputError]  # what a command says: lines, and what went wrong meanwhile


def main(arguments: list[str] | None = None) -> int:
    """Run one command; 0 if all went well, 2 after a one-line message that says what to do."""
    options = _parser().parse_args(arguments)
    try:
        if options.command in (_run, _select, _features, _train):
            progress.show()
        for said in options.command(options):
            if isinstance(said, InputError):
                options.faults += 1
                print(f"songtitle: {said}", file=sys.stderr)
            else:
                print(said, flush=True)
        return 2 if options.faults else 0
    except InputError as error:
        for drawn in getattr(error, "__notes__", ()):  # a cell of a notebook has a traceback
            colour = sys.stderr.isatty() and "NO_COLOR" not in os.environ
            print(drawn if colour else re.sub(r"\x1b\[[0-9;]*m", "", drawn), file=sys.stderr)
        print(f"songtitle: {error}", file=sys.stderr)
        return getattr(error, "exit_code", 2)  # one who was stopped says by what
    except KeyboardInterrupt:
        print("songtitle: stopped; the same command goes on from here", file=sys.stderr)
        return 130
    except BrokenPipeError:  # `... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="songtitle", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar=COMMANDS)

    def command(run: Callable[..., Said], told: str, description: str | None = None) -> Any:
        its = commands.add_parser(run.__name__[1:], help=told, description=description)
        its.set_defaults(command=run, faults=0)
        return its.add_argument, its.add_argument_group

    add, group = command(_fetch, "download data")
    add("source", nargs="*", help="sources, named as `status` lists them (default: stamps)")
    add("--jobs", type=int, default=3, help="files to download at the same time (default 3)")
    add("--dry-run", action="store_true", help="only say what would be downloaded")
    add("--quiet", action="store_true", help="print errors only")
    add("--archive", type=Path, help="use this archive of the stamps instead of downloading it")
    add("--all", action="store_true", help="fetch all recordings, not only the quick subset")
    pictures = group("the pictures of conceptual_captions").add_argument
    told = "fetch the pictures too, of train (default) or validation"
    pictures("--pictures", nargs="?", const="train", choices=("train", "validation"), help=told)
    pictures("--first", type=int, metavar="N", help="ask for the first N rows only")
    pictures("--processes", type=int, help="processes to use (default: one for each core)")
    pictures(
        "--threads", type=int, default=32, help="downloads at once in each process (default 32)"
    )
    kinds, told = DISTRIBUTORS, "who does the work: this machine (default), or a cluster"
    pictures("--distributor", choices=kinds, default=kinds[0], help=told)

    add, _ = command(_verify, "check every file against its checksum")
    add("source", nargs="*", help="check only these sources")

    add, _ = command(_count, "count the paper's own corpora, as far as they are here")
    add("name", nargs="*", help="answer only these questions, such as captions_valid")
    add("--json", action="store_true", help="print one JSON object a line")

    told = "write small made-up corpora in the paper's formats, to try a run on"
    add, _ = command(_rehearse, told)
    add("folder", type=Path, help="an empty folder; use it with SONGTITLE_DATA=FOLDER")
    add(
        "--pictures",
        type=int,
        default=120,
        metavar="N",
        help="training pictures to write (default 120)",
    )
    add("--songs", type=int, default=40, metavar="N", help="songs in each song set (default 40)")
    add("--seed", type=int, default=0, help="random seed (default 0)")

    add, _ = command(_plan, "tell what a run needs: data, disk and hours", NAMES)
    add("--preset", default="quick", help="named settings to use (default quick)")
    add("--corpora", help=CORPORA)
    add("--device", help=TRAIN_FLAGS["device"])
    add("-p", **CHANGES, help="change a setting, such as training.epochs 3")
    add("--json", action="store_true", help="print one JSON object")
    add("--no-probe", action="store_true", help="skip the speed test, and tell no hours")
    add("--seconds", type=float, default=60.0, help="longest time for the speed test (default 60)")
    add("--against", action="store_true", help="show, beside it, how long finished stages took")

    add, _ = command(_run, "run the notebooks and build the book", NAMES)
    add("notebook", nargs="*", help="run only these, such as 04_search, and build no book")
    add("--preset", default="quick", help="named settings to use (default quick)")
    add("--seed", type=plain, help="random seed for everything that is random")
    add("--device", help=TRAIN_FLAGS["device"])
    add("-p", **CHANGES, help="change a setting or a parameter of a notebook, such as views 1")
    add("--jobs", type=int, help="notebooks to run at the same time (default: one for each core)")
    add("--output", type=Path, help="folder for executed notebooks (here, if some are named)")
    add("--no-book", action="store_true", help="run the notebooks, but do not build the book")
    told = "write pages, results and demo into the clone; run again what older code published "
    told += "(13_samples, an hour, only with --preset samples)"
    add("--publish", action="store_true", help=told)

    shards = "folders, tar files or patterns such as 'cc/{00000..00331}.tar'"
    add, _ = command(_select, "select captioned pictures from shards", SELECTING)
    add("shards", nargs="+", help=shards)
    add("--output", type=Path, required=True, help="folder for the selection")
    add("--valid-shards", nargs="+", help="shards for validation (default: some of train)")
    add("--test-shards", nargs="+", help="shards for the test (default: the corpus's validation)")
    told = "smallest side to accept, in pixels (default 401, as in the paper)"
    add("--min-side", type=int, default=401, metavar="N", help=told)
    add("--max-side", type=int, metavar="N", help="largest side to accept, in pixels")
    add("--held-out", type=int, default=1000, metavar="N", help=HELD_OUT)
    add("--seed", type=int, default=0, help="random seed of the held-out shards (default 0)")
    add("--min-count", type=int, default=4, metavar="N", help=TRAIN_FLAGS["min_count"])
    add(
        "--workers",
        type=int,
        default=1,
        metavar="N",
        help="processes that read indexes (default 1)",
    )

    add, _ = command(_features, "store features of pictures in shards", FEATURES + AGAIN + NAMES)
    add("--shards", nargs="+", required=True, help=shards)
    add("--store", type=Path, required=True, help="folder to store the features in")
    add("--preset", default="quick", help="named settings to start from (default quick)")
    add("-p", **CHANGES, help="change a setting, such as seed 1")
    for name in FEATURE_FLAGS:
        add(f"--{name.rpartition('.')[2]}", type=plain, metavar="VALUE", help=TRAIN_FLAGS[name])
    add("--views", type=plain, metavar="N", help="random crops to store for each picture")
    add("--view", help=VIEWS)
    told = "smallest side to accept, in pixels; the paper's is 401 (default: any)"
    add("--min-side", type=int, metavar="N", help=told)
    add("--batch", type=int, metavar="N", help="pictures in a batch")
    add("--workers", type=int, metavar="N", help=DECODING)
    told = "what distributes the shards: processes (default), ray or pyspark"
    add("--engine", default="processes", help=told)

    add, group = command(
        _train, "train a captioner on shards or features", TRAINING + AGAIN + NAMES
    )
    add("--shards", nargs="+", help=shards)
    add("--store", type=Path, help="features to train on, as `features` stored them")
    add("--output", type=Path, required=True, help="folder for the model and its checkpoints")
    add("--adopt", action="store_true", help="let `title`, `status` and notebooks find it")
    told = "shards for validation (default: held out, with others for the test, as `select` does)"
    add("--valid-shards", nargs="+", help=told)
    add("--valid-store", type=Path, help="stored features for validation")
    add("--held-out", type=int, default=1000, metavar="N", help=HELD_OUT)
    add("--preset", default="quick", help="named settings to start from (default quick)")
    add("-p", **CHANGES, help="change a setting, such as model.dim 256")
    parts = {part: group(f"the {part}").add_argument for part in ("model", "training", "data")}
    for name, told in TRAIN_FLAGS.items():
        part, _, last = name.rpartition(".")
        flag, number = f"--{last.replace('_', '-')}", {"type": plain, "metavar": "VALUE"}
        kind: Any = {"action": "store_true", "default": None} if last == "fine_tune" else number
        parts[part or "data"](flag, help=told, **kind)
    data = parts["data"]
    data(
        "--max-tokens",
        type=int,
        default=50,
        metavar="N",
        help="longest caption in words; the rest is cut",
    )
    data("--workers", type=int, metavar="N", help=DECODING)
    data("--view", help=VIEWS)
    data("--window", type=int, default=16, metavar="N", help="shards that are shuffled together")

    add, _ = command(_settings, "list all settings: name, range, value and meaning")
    add("word", nargs="?", default="", help="list only settings with this word in name or meaning")
    add("--preset", default="quick", help="preset whose values are shown (default quick)")

    add, _ = command(_title, "give titles to audio files")
    add("file", nargs="+", type=Path, help="audio files: mp3, ogg, flac or wav")
    add("--beam-size", type=int, default=5, help="titles that the search keeps (default 5)")
    add("--json", action="store_true", help="print one JSON object a line")
    told = "print, too, words from a listener trained on titles"
    add("--listener", action="store_true", help=told)

    add, _ = command(_course, "make student versions and hidden checks")
    add("folder", type=Path, help="gets student/ to hand out and teacher/ to keep")
    add("notebook", nargs="*", help="notebooks to make, such as 04_search (default: all)")
    add("--preset", help="settings of the student versions, such as tiny (default quick)")

    told = "A submission runs as you, on this machine: read it first."
    add, _ = command(_grade, "run and mark what a student handed in", told)
    add("submission", nargs="+", type=Path, help="an .ipynb that was handed in")
    add("--checks", type=Path, help="its zip in teacher/ (default: this clone's)")
    add("--json", action="store_true", help="print one JSON object a line")

    command(_status, "show what is downloaded, computed and trained")
    return parser


def _check_positive(options: argparse.Namespace, name: str) -> None:
    value = getattr(options, name)
    if value is not None and value < 1:
        msg = f"--{name.replace('_', '-')}: expected a positive number, got {value}"
        raise InputError(msg)


def _line(content: Any) -> str:
    return json.dumps(content, ensure_ascii=False)


def _fetch(options: argparse.Namespace) -> Said:
    from songtitle.corpora import inventory
    from songtitle.corpora.manifest import data_home, named_home

    names = options.source or ["stamps"]
    for name in ("jobs", "first"):
        _check_positive(options, name)
    if options.pictures and names != ["conceptual_captions"]:
        msg = f"--pictures: expected it with conceptual_captions alone, got {' '.join(names)}"
        raise InputError(msg)
    if options.dry_run:
        more, told = _pictures_to_come(options) if options.pictures else ([], [])
        yield inventory.plan(names, named_home(), every=options.all, more=more)
        yield from told
        return
    asked = {"jobs": options.jobs, "quiet": options.quiet, "every": options.all}
    for outcome in inventory.fetch(names, data_home(), archive=options.archive, **asked):
        if isinstance(outcome, InputError) or not options.quiet:
            yield outcome
    if options.pictures and not options.faults:
        yield from _fetch_pictures(options)


def _pictures_to_come(options: argparse.Namespace) -> tuple[list[Any], list[str]]:
    """A row of the table that says what would come, and lines that say how that is known."""
    from songtitle.corpora.inventory import Coming, human
    from songtitle.corpora.manifest import free, named_home
    from songtitle.experiment.picture_sizes import SOURCE, expected

    home, split = named_home(), options.pictures
    come = expected(home, split, first=options.first)
    what, place = f"pictures of {split}", home / SOURCE / "pictures" / split
    row = Coming(SOURCE, what, come.size, come.here, "belong to their owners", str(place))
    each = human(come.size // max(1, come.pictures))
    told = [
        f"{come.rows:,} addresses would be asked; about {come.pictures:,} should give a picture, "
        f"of {each} in the mean (forecast: as in 2019, and as many lost as the paper's)"
    ]
    if (short := come.size - come.here - free(home)) > 0:
        msg = f"the disk is {human(short)} short: make room, or set SONGTITLE_DATA to a larger "
        told.append(msg + "one, or ask for fewer with --first")
    return [row], told


def _fetch_pictures(options: argparse.Namespace) -> Said:
    from songtitle.corpora import link_rot
    from songtitle.corpora import shards as corpora_shards
    from songtitle.corpora.captions import TABLES
    from songtitle.corpora.manifest import data_home
    from songtitle.rows import Faults

    folder, faults = data_home() / "conceptual_captions", Faults()
    done = corpora_shards.fetch(
        folder / TABLES[options.pictures],
        folder / "pictures" / options.pictures,
        faults=faults,
        count=options.first,
        processes=options.processes,
        threads=options.threads,
        distributor=options.distributor,
    )
    report = link_rot.report(done.folder)
    yield f"{done.folder}: {done.pictures:,} pictures of {done.rows:,} addresses"
    left_out = {f"rows left out: {kind}": count for kind, count in faults.counts.items()}
    for reason, count in (report.reasons | left_out).items():
        yield f"  {count:>9,}  {reason}"


def _verify(options: argparse.Namespace) -> Said:
    from songtitle.corpora import inventory
    from songtitle.corpora.manifest import data_home

    for found in inventory.verify(options.source, data_home()):
        if not found.fetched and not options.source:
            yield f"{found.name}: not fetched"
            continue
        for what, paths in zip(("missing", "corrupt"), found.problems, strict=True):
            options.faults += len(paths)
            yield from (f"{found.name}: {what}: {path}" for path in paths)
        for path in found.unknown:
            yield f"{found.name}: no checksum known, `fetch` records one: {path}"
    wrong = options.faults
    yield f"{wrong} files are not right; fetch again" if wrong else "no file is wrong"


def _count(options: argparse.Namespace) -> Said:
    from songtitle import tables
    from songtitle.experiment import paper_corpora

    for name, found in paper_corpora.answers(*options.name).items():
        if options.json:
            yield _line(found.as_dict())
            continue
        yield f"{name}: {found.settings['corpus']} ({found.settings['found']})"
        for file, facts in found.settings["files"].items():
            yield f"  {file}, sha256 {facts['sha256']}"
        for key, value in tables.facts(found).items():
            if not re.search(r"\.lengths\.|^hosts\.|steps", key):
                yield f"  {key} = {format(value, '.6g' if isinstance(value, float) else '')}"


def _plan(options: argparse.Namespace) -> Said:
    from songtitle.config import preset
    from songtitle.corpora.manifest import data_home
    from songtitle.experiment import plan, probe
    from songtitle.experiment.done import Done
    from songtitle.experiment.quantities import corpora_of
    from songtitle.studies import plan as told

    if not 0 < options.seconds < float("inf"):
        msg = f"--seconds: expected a time above 0, got {options.seconds}; try 60"
        raise InputError(msg)
    home, device = data_home(), {"device": options.device} if options.device else {}
    config = preset(options.preset, _changes(options) | device)
    name, stages = options.corpora or config.corpora, True
    if options.corpora and Path(name).expanduser().is_dir():
        stages = False  # none reads shards that no corpora declare
    elif options.corpora:
        config = preset(options.preset, _changes(options) | device | {"corpora": name})
    done = Done(config, home if stages else None)
    corpora = corpora_of(name, config, home, counted=done.corpora, known=done.vocabulary)
    probed = None
    if not options.no_probe:
        probed = plan.measure(config, corpora, home, seconds=options.seconds)
        probe.keep(probed, probe.kept_in(config, name, home))
    found = plan.forecast(config, corpora, probed, home=home, done=done)
    if options.json:
        yield _line(told.as_dict(found))
    else:
        yield told.report(found)
        if options.against:
            yield f"\n{told.against(found)}"
    told.check_disk(found)


def _forecast(name: str, changes: dict[str, Any]) -> Any:
    """The plan, where it was probed here, or None; what is wrong the run itself will say."""
    from songtitle.corpora.manifest import named_home

    home = named_home()
    if not (home / "probes").is_dir():
        return None  # before torch, which takes seconds
    from songtitle.config import is_setting, preset
    from songtitle.experiment import plan, probe
    from songtitle.experiment.done import Done
    from songtitle.experiment.quantities import corpora_of

    with suppress(InputError):
        config = preset(name, {each: v for each, v in changes.items() if is_setting(each)})
        if probed := probe.kept(probe.kept_in(config, config.corpora, home)):
            done = Done(config, home)
            at_hand = {"counted": done.corpora, "known": done.vocabulary}
            corpora = corpora_of(config.corpora, config, home, **at_hand)
            return plan.forecast(config, corpora, probed, home=home, done=done)
    return None


def _rehearse(options: argparse.Namespace) -> Said:
    from songtitle.corpora import rehearsal

    sizes = {"pictures": options.pictures, "songs": options.songs, "seed": options.seed}
    for name, count in rehearsal.write(options.folder, **sizes).items():
        yield f"{count:>9,}  {name}"


def _run(options: argparse.Namespace) -> Said:
    from songtitle.book import reproduce

    _check_positive(options, "jobs")
    given = {"seed": options.seed, "device": options.device}
    changes = {name: v for name, v in given.items() if v is not None} | _changes(options)
    named = [Path(name) for name in options.notebook]
    there = reproduce.SOURCES
    chosen = [p if p.suffix == ".ipynb" else there / f"{p.name}.ipynb" for p in named]
    output = options.output or (Path.cwd() if chosen else reproduce.EXECUTED)
    asked = (options.preset, [path.stem for path in chosen], options.publish)
    if asked == (reproduce.SAMPLES, [reproduce.LONG["samples"]], True):
        for path in reproduce.publish_on_request(changes, jobs=options.jobs):
            yield f"published: {path}"
        return
    if options.publish and (chosen or options.output):
        msg = "--publish: expected a run of all notebooks, got some or an --output; leave those out"
        raise InputError(msg)
    if before := _forecast(options.preset, changes):
        from songtitle.studies import plan as told

        yield told.line(before)
    begun = time.monotonic()
    reproduce.run(
        options.preset,
        changes,
        chosen=chosen,
        output=output,
        stale=options.publish,
        jobs=options.jobs,
    )
    if before and (after := _forecast(options.preset, changes)):
        whole = {"forecast": before.seconds, "fact": round(time.monotonic() - begun, 1)}
        kept = told.as_dict(after) | {"run": whole}
        (output / FORECAST).write_text(json.dumps(kept, indent=1) + "\n", "utf-8")
        said = " forecast, ".join(map(told.hours, whole.values()))
        yield f"{told.against(after)}\nThe run: {said} in fact. The plan: {output / FORECAST}"
    if options.publish:
        reproduce.publish()
    if not chosen and not options.no_book and output == reproduce.EXECUTED:
        yield f"The book is built. Open {reproduce.build().as_uri()}"


def _changes(options: argparse.Namespace) -> dict[str, Any]:
    """What `-p` names; the path of a file by its whole name, for notebooks run elsewhere."""
    given = {name: plain(text) for name, text in options.p}
    for name in (FILES | FOLDERS) & given.keys():
        path = Path(given[name]) if isinstance(given[name], str) else None
        if path and (path.is_dir() if name in FOLDERS else path.is_file()):
            given[name] = str(path.resolve())
    return given


def plain(text: str) -> Any:
    """A value as papermill reads it from the command line: a number, a list, true, or text."""
    from songtitle import schema

    return schema.plain(text)


def _title(options: argparse.Namespace) -> Said:
    _check_positive(options, "beam_size")
    heard = _heard(options.file) if options.listener else {}
    for path, found in _titles(options.file, options.beam_size):
        if isinstance(found, InputError):
            if options.json:
                yield _line({"file": str(path), "error": str(found)})
            yield found
        elif options.json:
            titles = [{"title": title, "log_prob": log_prob} for title, log_prob in found]
            listened = {"listener": heard[path]} if options.listener else {}
            yield _line({"file": str(path), "titles": titles} | listened)
        else:
            yield str(path)
            yield from (f"  {log_prob:8.2f}  {title}" for title, log_prob in found)
            if options.listener:
                yield f"  trained on titles it would say: {', '.join(heard[path])}"


def _titles(paths: list[Path], beam_size: int) -> Iterator[tuple[Path, Any]]:
    """What `name_songs` gives; without torch where there is no file to name, or no captioner."""
    from songtitle.cache import finished
    from songtitle.corpora.manifest import data_home

    if not finished(data_home(), "training"):
        msg = "title: no trained model yet; run `make book` or `python -m songtitle run` first"
        raise InputError(msg)
    if any(path.exists() for path in paths):
        from songtitle.experiment.naming import name_songs

        yield from name_songs(paths, beam_size=beam_size)
        return
    for path in paths:
        yield path, InputError(f"{path}: expected a music file, got no such file; check the name")


def _heard(paths: list[Path]) -> dict[Path, list[str]]:
    """The words of the listener by file; of those that cannot be read none."""
    if not any(path.exists() for path in paths):
        return {}
    from songtitle.experiment.listening import hear_words

    found = hear_words(paths)
    return {path: words for path, words in found if not isinstance(words, InputError)}


def _course(options: argparse.Namespace) -> Said:
    from songtitle.book.course import write_course
    from songtitle.config import preset

    if options.preset is not None:
        preset(options.preset)
    for student, checks in write_course(options.folder, options.notebook, preset=options.preset):
        yield f"{student}  (checks: {checks})"


def _grade(options: argparse.Namespace) -> Said:
    from dataclasses import asdict

    from songtitle.book import course as book_course

    for path in options.submission:
        try:
            found = book_course.grade(path, options.checks)
        except InputError as error:
            yield error
            continue
        if options.json:
            yield _line({"file": str(path), **asdict(found)})
            continue
        yield f"{path}: {found.total:g} of {found.possible:g} points by checks"
        yield from (f"  {got:g} of {of:g}  {name}" for name, (got, of) in found.points.items())
        if found.by_hand:
            yield f"  to be read by you: {', '.join(found.by_hand)}"


def _select(options: argparse.Namespace) -> Said:
    from songtitle.corpora.selection import SPLITS, build_vocabulary, select

    _check_positive(options, "min_count")
    asked = ("min_side", "max_side", "held_out", "seed", "workers")
    found = select(
        options.shards,
        options.output,
        valid=options.valid_shards,
        test=options.test_shards,
        **{name: getattr(options, name) for name in asked},
    )
    for split in SPLITS:
        yield f"{found.of(split).num_rows:>9,}  pictures in {split}"
    for kind, count in found.faults.counts.items():
        yield f"{count:>9,}  left out: {kind}"
    yield f"{len(build_vocabulary(found, options.min_count).words):>9,}  words in train"


def _features(options: argparse.Namespace) -> Said:
    from songtitle.experiment.stored import store_features

    changes = _given(options, (*FEATURE_FLAGS, "views"))
    made = store_features(
        options.shards,
        options.store,
        config=_preset(options.preset, changes | _changes(options)),
        batch=options.batch,
        workers=options.workers,
        engine=options.engine,
        **_chosen(options, "view", "min_side"),
    )
    yield f"{options.store}: {len(made)} files written"


def _train(options: argparse.Namespace) -> Said:
    from songtitle.experiment.stored import adopt, train_on_store
    from songtitle.experiment.streaming import is_main, train_on_shards

    if bool(options.shards) == bool(options.store):
        got = "both" if options.store else "none"
        msg = f"train: expected --shards or --store, got {got}; name what to train on"
        raise InputError(msg)
    changes = _given(options, ("seed", *TRAIN_FLAGS))
    asked: dict[str, Any] = {
        "config": _preset(options.preset, changes | _changes(options)),
        "valid_shards": options.valid_shards,
        "held_out": options.held_out,
        "window": options.window,
        "max_tokens": options.max_tokens,
    }
    others = ("view", "workers") if options.store else ("valid_store",)
    for name in others:
        if getattr(options, name) is not None:
            msg = f"--{name.replace('_', '-')}: expected it without --"
            msg += "store, which was made with its own" if options.store else "shards"
            msg += ", got it; leave it out"
            raise InputError(msg)
    if options.store:
        asked["valid_store"] = options.valid_store
        record = train_on_store(options.store, options.output, **asked)
    else:
        asked |= {"workers": options.workers, **_chosen(options, "view")}
        record = train_on_shards(options.shards, options.output, **asked)
    if is_main():
        for row in record["history"]:
            train, valid = row["train_perplexity"], row["valid_perplexity"]
            yield f"epoch {row['epoch']:>3}: perplexity {train:10.2f}, held out {valid:10.2f}"
        for kind, count in record["left_out"]["counts"].items():
            yield f"{count:>9,}  examples left out: {kind}"
        unigram, permuted = (record[f"{n}_perplexity"] for n in ("unigram", "permuted_pictures"))
        yield f"controls: perplexity {unigram:.2f} of a unigram, {permuted:.2f} with wrong pictures"
        if options.adopt:
            yield f"adopted as training/{adopt(options.output).key}"
        yield str(options.output / record["kept"])


def _given(options: argparse.Namespace, names: Iterable[str]) -> dict[str, Any]:
    """Settings that have a flag, which is named as the last part, and were given."""
    found = {name: getattr(options, name.rpartition(".")[2]) for name in names}
    return {name: value for name, value in found.items() if value is not None}


def _chosen(options: argparse.Namespace, *names: str) -> dict[str, Any]:
    """Options that were given, by name; others keep the default of what reads them."""
    return {name: vars(options)[name] for name in names if vars(options)[name] is not None}


def _preset(name: str, changes: dict[str, Any]) -> Any:
    from songtitle.config import preset

    if "crop" in changes:  # nothing of shards is cut into tiles
        changes.setdefault("tile_sizes", changes["crop"])
    return preset(name, changes)


def _settings(options: argparse.Namespace) -> Said:
    from songtitle.config import nearest, preset, setting, settings
    from songtitle.schema import brief

    config, word = preset(options.preset), options.word
    found = {n: t for n, t in settings().items() if word.lower() in f"{n} {t.help}".lower()}
    if not found:
        msg = f"settings: expected a word of a setting's name or meaning, got {brief(word)}"
        raise InputError(msg + (nearest(word) or "; leave it out to see them all"))
    for name, told in found.items():
        yield f"{name} = {brief(setting(config, name))}"
        yield f"    {told.help} [{told.expected}]"


def _status(_: argparse.Namespace) -> Said:
    from songtitle.cache import finished
    from songtitle.corpora import inventory
    from songtitle.corpora.manifest import data_home

    home = data_home()
    yield f"data home: {home}"
    yield str(inventory.status(home))
    for record in finished(home):
        started = record.provenance["started"]
        yield f"{record.stage}/{record.key}  {started}  {record.timing['seconds']:.1f} s"


if __name__ == "__main__":
    raise SystemExit(main())
