"""The ledger, read and checked: every claim of the paper with the test that decides it.

`data_manifest/claims.toml` holds the paper's numbers and tables, sentences that can be checked,
relations between its numbers, and for each claim a test: which check, on which records, shown on
which page, and what it would take where nothing here can tell.
"""

import inspect
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from songtitle.claims.arithmetic import SIGNS, Relation, evaluate, names_in, number
from songtitle.claims.checks import CHECKS
from songtitle.claims.printed import CLAIMS
from songtitle.errors import InputError

RELATION = "relation"  # a check on the paper's own numbers; all others read records
SAMPLED = ("whole", "sample", "excerpt", "held_out", "part")
WEIGHTS = ("number", "method", "wording", "outside", "odd", "agrees")
OWN = {"of", "check", "page", "needs", "reads", "join", "mechanism", "corpora", "names"}


@dataclass(frozen=True, kw_only=True)
class Read:
    """One value to draw from records: of a stage in every preset, or of one file by its name."""

    record: str  # "scores" (or "scores|samples"): of any preset; "census/clips": this one
    value: tuple[str, ...]  # paths; several are ways to count the same
    statistic: str = ""  # of the histogram that lies there
    low: str = ""
    high: str = ""
    chance: str = ""
    times: float = 1.0
    # What the samples at hand are of the data that the paper measured. All of it (whole); rows of
    # it at random (sample) or not (excerpt), which the whole replaces where it is fetched; what
    # was held out of it at random (held_out); or another part, which decides nothing.
    sampled: str = "part"


@dataclass(frozen=True, kw_only=True)
class Test:
    """How a claim is tested, where it is shown, and what would test it where nothing here can."""

    check: str
    page: str  # "04_search#tab-4"
    needs: str
    reads: tuple[Read, ...] = ()
    join: bool = False  # all reads together make one value; else each may decide
    mechanism: bool = False  # other data may decide it, and the verdict says so
    corpora: Mapping[str, str] = field(default_factory=dict)  # role -> corpus it was measured on
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Claim:
    """Something that the paper says and that can be checked."""

    id: str
    kind: str  # "number" or "sentence"
    where: str
    says: str
    test: Test
    value: float | None = None


@dataclass(frozen=True, kw_only=True)
class Inconsistency:
    """Two things that the paper says, or one and a fact, put beside each other."""

    id: str
    where: str
    says: str
    here: str  # what this book does about it
    weight: str  # one of WEIGHTS
    page: str
    relations: tuple[Relation, ...]
    doubts: tuple[str, ...] = ()  # claims that cannot stand if this does


@dataclass(frozen=True, kw_only=True)
class Ledger:
    """All of it. `numbers` holds the paper's and those constants that come from elsewhere."""

    numbers: Mapping[str, float]
    sources: Mapping[str, str]  # of the constants
    claims: tuple[Claim, ...]
    inconsistencies: tuple[Inconsistency, ...]
    aliases: Mapping[str, Mapping[str, str]] = field(default_factory=dict)  # stage -> names


def read_ledger(path: Path = CLAIMS) -> Ledger:
    """The ledger, whole and sound, else an InputError that says what to mend."""
    try:
        content = tomllib.loads(path.read_text("utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as error:
        msg = f"{path.name}: expected a ledger in TOML, got {error}; mend the file"
        raise InputError(msg) from error
    tests = [_raw_test(entry, path) for entry in content.get("test", [])]
    used: set[int] = set()
    ids: set[str] = set()
    numbers: dict[str, float] = {}
    sources: dict[str, str] = {}

    def new(id: str) -> str:
        if id in ids:
            _refuse(path, f"{id}: expected one entry of this name, got two; rename one")
        ids.add(id)
        return id

    for entry in content.get("constant", []):
        _require(entry, ("id", "value", "unit", "source"), path)
        numbers[new(entry["id"])] = float(entry["value"])
        sources[entry["id"]] = entry["source"]
    said = [*_numbers(content, path), *_cells(content, path), *_sentences(content, path)]
    for id, _, _, _, value in said:
        new(id)
        if value is not None:
            numbers[id] = value
    claims = tuple(
        Claim(
            id=id,
            kind=kind,
            where=where,
            says=says,
            value=value,
            test=_test_of(id, tests, used, numbers, path),
        )
        for id, kind, where, says, value in said
    )
    for index, test in enumerate(tests):
        if index not in used:
            _refuse(path, f"test of {test['of']}: expected claims of such names, found none; mend")
    inconsistencies = tuple(_inconsistency(e, path) for e in content.get("inconsistency", []))
    for each in inconsistencies:
        new(each.id)
        wanted = [name for relation in each.relations for name in names_in(relation)]
        for name in (*wanted, *each.doubts):
            if name not in (ids if name in each.doubts else numbers):
                _refuse(path, f"{each.id}: expected names of the ledger, got {name!r}; mend it")
    return Ledger(
        numbers=numbers,
        sources=sources,
        claims=claims,
        inconsistencies=inconsistencies,
        aliases=content.get("aliases", {}),
    )


Said = tuple[str, str, str, str, float | None]  # id, kind, where, says, value


def _numbers(content: Mapping[str, Any], path: Path) -> list[Said]:
    found: list[Said] = []
    for entry in content.get("number", []):
        _require(entry, ("id", "where", "value", "unit", "note"), path)
        note = f" ({entry['note']})" if entry["note"] else ""
        says = f"{number(float(entry['value']))} {entry['unit']}{note}"
        found.append((entry["id"], "number", entry["where"], says, float(entry["value"])))
    return found


def _cells(content: Mapping[str, Any], path: Path) -> list[Said]:
    """Every number of the tables; a cell that the paper leaves out (NA) says nothing."""
    found: list[Said] = []
    for table in content.get("table", []):
        _require(table, ("number", "where", "title", "unit", "columns", "rows"), path)
        for row_id, *cells in table["rows"]:
            label = cells[0] if isinstance(cells[0], str) else row_id
            size = f", {cells[1]} px" if table["number"] == 4 and cells[1] == cells[1] else ""
            for column, cell in zip(table["columns"], cells, strict=True):
                if isinstance(cell, str) or cell != cell:
                    continue
                what = f"k = {column}" if column.isdigit() else column.replace("_", " ")
                says = f"{label}{size}, {what}: {number(float(cell))}"
                id = f"table{table['number']}.{row_id}.{column}"
                found.append((id, "number", f"Table {table['number']}", says, float(cell)))
    return found


def _sentences(content: Mapping[str, Any], path: Path) -> list[Said]:
    found: list[Said] = []
    for entry in content.get("sentence", []):
        _require(entry, ("id", "where", "says"), path)
        found.append((entry["id"], "sentence", entry["where"], entry["says"], None))
    return found


def _raw_test(entry: Mapping[str, Any], path: Path) -> Mapping[str, Any]:
    _require(entry, ("of", "check", "page", "needs"), path)
    what, check = f"test of {entry['of']}", entry["check"]
    if check not in (*CHECKS, RELATION):
        known = ", ".join((*CHECKS, RELATION))
        _refuse(path, f"{what}: expected a check out of {known}; got {check!r}; choose one")
    if not re.fullmatch(r"\d\d_\w+#(tab|fig)-[\w-]+", entry["page"]):
        _refuse(path, f"{what}: expected a page such as 04_search#tab-4, got {entry['page']!r}")
    if check == RELATION:
        wanted = {"about", "left", "sign", "right"}
    else:
        signature = inspect.signature(CHECKS[check]).parameters
        wanted = set(signature) - {"values", "whole", "claimed"}
        if not entry.get("reads") and check != "stated":
            _refuse(path, f"{what}: expected reads, what to draw from records; got none; add some")
    given = set(entry) - OWN
    if given != wanted:
        _refuse(
            path,
            f"{what}: expected the parameters {sorted(wanted)} of {check}, got {sorted(given)}",
        )
    return entry


def _test_of(
    id: str,
    tests: list[Mapping[str, Any]],
    used: set[int],
    numbers: Mapping[str, float],
    path: Path,
) -> Test:
    mine = [
        index
        for index, test in enumerate(tests)
        if any(fnmatchcase(id, pattern) for pattern in test["of"])
    ]
    if len(mine) != 1:
        _refuse(path, f"{id}: expected one test, found {len(mine)}; every claim has exactly one")
    used |= set(mine)
    entry = tests[mine[0]]
    row, _, column = id.partition(".")[2].rpartition(".")
    name = entry.get("names", {}).get(row, row)
    words = {"row": row, "column": column, "name": name, "beam": column.split("_")[-1]}
    return Test(
        check=entry["check"],
        page=entry["page"],
        needs=entry["needs"],
        reads=tuple(_read(each, words, id, path) for each in entry.get("reads", [])),
        join=bool(entry.get("join", False)),
        mechanism=bool(entry.get("mechanism", False)),
        corpora=dict(entry.get("corpora", {})),
        parameters={
            key: value if entry["check"] == RELATION else _filled(value, numbers)
            for key, value in entry.items()
            if key not in OWN
        },
    )


def _filled(value: Any, numbers: Mapping[str, float]) -> Any:
    """A parameter that names numbers of the ledger, with their values."""
    if isinstance(value, list):
        return [_filled(each, numbers) for each in value]
    if isinstance(value, str):
        return evaluate(value, numbers) if "{" in value else value
    return value if isinstance(value, bool) else float(value)


def _read(entry: Mapping[str, Any], words: Mapping[str, str], id: str, path: Path) -> Read:
    _require(entry, ("record", "value"), path)
    unknown = set(entry) - set(Read.__dataclass_fields__)
    if unknown:
        _refuse(path, f"{id}: expected known fields of a read, got {sorted(unknown)}; mend it")
    sampled = entry.get("sampled", "part")
    if sampled not in SAMPLED:
        _refuse(path, f"{id}: expected sampled to be one of {SAMPLED}, got {sampled!r}; choose")
    paths = entry["value"] if isinstance(entry["value"], list) else [entry["value"]]

    texts = {
        name: _put(entry.get(name, ""), words) for name in ("low", "high", "chance", "statistic")
    }
    return Read(
        record=entry["record"],
        value=tuple(_put(each, words) for each in paths),
        times=float(entry.get("times", 1.0)),
        sampled=sampled,
        **texts,
    )


def _put(text: str, words: Mapping[str, str]) -> str:
    for key, word in words.items():
        text = text.replace(f"{{{key}}}", word)
    return text


def _inconsistency(entry: Mapping[str, Any], path: Path) -> Inconsistency:
    _require(entry, ("id", "where", "says", "here", "weight", "page", "relations"), path)
    if entry["weight"] not in WEIGHTS:
        _refuse(path, f"{entry['id']}: expected weight in {WEIGHTS}, got {entry['weight']!r}")
    relations = []
    for about, left, sign, right, *tolerance in entry["relations"]:
        if sign not in SIGNS:
            _refuse(path, f"{entry['id']}: expected a sign in {list(SIGNS)}, got {sign!r}; mend it")
        slack = tolerance[0] if tolerance else "0"
        relations.append(Relation(about=about, left=left, sign=sign, right=right, tolerance=slack))
    return Inconsistency(
        **{name: entry[name] for name in ("id", "where", "says", "here", "weight", "page")},
        relations=tuple(relations),
        doubts=tuple(entry.get("doubts", ())),
    )


def _require(entry: Mapping[str, Any], fields: tuple[str, ...], path: Path) -> None:
    name = entry.get("id") or entry.get("of") or entry.get("number") or entry.get("record")
    missing = [each for each in fields if each not in entry]
    # A note may be empty; nothing else that a reader is shown may.
    blank = [each for each in fields if entry.get(each) in ("", []) and each != "note"]
    if missing or blank:
        _refuse(path, f"{name}: expected {', '.join(fields)}; missing {missing + blank}; add it")


def _refuse(path: Path, text: str) -> None:
    msg = f"{path.name}: {text}"
    raise InputError(msg)
