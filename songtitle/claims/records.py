"""Published records, and the numbers drawn from them by the paths that the ledger gives."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Z = 2.576  # 99 % of a normal distribution lies within

# Whose data a number was measured on; earlier ones decide before later ones.
SCOPES = {
    "paper": "the paper's own data",
    "sample": "a sample of the paper's data",
    "other": "tested on other data",
    "part": "another part of the paper's data",
    "ledger": "the paper's own numbers",
    "outside": "the paper's numbers and facts from elsewhere",
}


@dataclass(frozen=True, kw_only=True)
class Published:
    """One file under `results/`: a stage's record, or what a benchmark measured."""

    name: str  # "quick/scores"
    key: str
    commit: str
    content: dict[str, Any]  # findings, with settings, timing and config beside them

    @property
    def folder(self) -> str:
        """The preset, or `census`, or `benchmarks`."""
        return self.name.split("/")[0]

    @property
    def origin(self) -> str:
        """Name, key and commit, for a reader who wants to find it."""
        return f"{self.name} {self.key} (commit {self.commit})".replace("  ", " ")

    @property
    def corpora(self) -> dict[str, str]:
        """Role (train, pictures, timbre, spectrogram) -> corpus, as the record says; else empty."""
        said = self.content["settings"].get("corpora") or self.content.get("corpora")
        return said if isinstance(said, dict) else {}


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A number, what is left open by the size of its sample, and what chance gives."""

    value: float
    low: float
    high: float
    count: int = 0
    chance: float | None = None
    label: str = ""  # which of several ways to count


def read_published(results: Path | Mapping[str, Path]) -> dict[str, Published]:
    """Every record below a folder, or of these files, by its name; one that cannot be read is not
    there."""
    paths = results.glob("*/*.json") if isinstance(results, Path) else results.values()
    found = {}
    for path in sorted(paths, key=lambda path: path.parts[-2:]):
        try:
            content = json.loads(path.read_text("utf-8"))
        except (OSError, json.JSONDecodeError):
            continue
        if not isinstance(content, dict):
            continue
        name = f"{path.parent.name}/{path.stem}"
        findings = content.get("result")
        kept = dict(findings) if isinstance(findings, dict) else dict(content)
        for part in ("settings", "timing", "config"):
            kept[part] = content[part] if isinstance(content.get(part), dict) else {}
        made = content.get("provenance") or {}
        found[name] = Published(
            name=name,
            key=str(content.get("key", "")),
            commit=str(made.get("commit")),
            content=kept,
        )
    for record in found.values():  # what a run's stage `corpora` says is true of all its stages
        whole = found.get(f"{record.folder}/corpora")
        if whole is not None and whole.corpora and not record.corpora:
            record.content["settings"] = {
                **record.content["settings"],
                "corpora": dict(whole.corpora),
            }
    return found


def rename_rows(found: Mapping[str, Published], aliases: Mapping[str, Mapping[str, str]]) -> None:
    """Call the inputs of some stages' `rows` as others do; rows of other inputs, and of all seeds
    but the first, are left out."""
    for name, record in found.items():
        names, rows = aliases.get(name.split("/")[1]), record.content.get("rows")
        if names and isinstance(rows, list):
            known = [row for row in rows if isinstance(row, dict) and row.get("input") in names]
            first = min((row.get("seed", 0) for row in known), default=0)
            record.content["rows"] = [
                row | {"input": names[row["input"]]} for row in known if row.get("seed", 0) == first
            ]


def draw(content: Any, path: str) -> Any:
    """What lies at a path of a record; None where there is nothing.

    Steps are parted by `/`: the key of a table, or `key=value&key=value`, which picks the first
    row that has these values out of a list.
    """
    for step in path.split("/"):
        if isinstance(content, list) and "=" in step:
            wanted = dict(pair.split("=", 1) for pair in step.split("&"))
            rows = [row for row in content if _fits(row, wanted)]
            content = rows[0] if rows else None
        elif isinstance(content, Mapping):
            content = content.get(step)
        else:
            return None
    return content


def _fits(row: Any, wanted: Mapping[str, str]) -> bool:
    return isinstance(row, Mapping) and all(str(row.get(k)) == v for k, v in wanted.items())


def statistic(histogram: Any, name: str) -> Estimate | None:
    """A statistic of a histogram (value -> how often) with its 99 % interval.

    | name | what |
    |---|---|
    | mean, deviation | of the values; intervals by their moments |
    | share_up_to:V, share_of:V | the share of values of at most V, or equal to V (Wilson) |
    | min, max | the extreme values found: a sample bounds those of the whole on one side only |
    | times:V, second | how often V occurs; the largest value but one |

    None where the histogram is empty or something else. An unknown name raises ValueError.
    """
    if not isinstance(histogram, Mapping) or not histogram:
        return None
    pairs = [(float(value), int(count)) for value, count in histogram.items()]
    total = sum(count for _, count in pairs)
    name, _, given = name.partition(":")
    if name in ("mean", "deviation"):
        return _moment(pairs, total, name)
    if name in ("share_up_to", "share_of"):
        bound = float(given)
        held = [c for v, c in pairs if (v <= bound if name == "share_up_to" else v == bound)]
        return wilson(sum(held), total)
    if name in ("min", "max"):
        extreme = (min if name == "min" else max)(value for value, _ in pairs)
        sides = (-math.inf, extreme) if name == "min" else (extreme, math.inf)
        return Estimate(value=extreme, low=sides[0], high=sides[1], count=total)
    if name == "times":
        times = float(sum(count for value, count in pairs if value == float(given)))
        return Estimate(value=times, low=times, high=times, count=total)
    if name == "second":
        second = sorted(value for value, _ in pairs)[-2:][0]
        return Estimate(value=second, low=second, high=second, count=total)
    msg = f"statistic {name!r}: expected mean, deviation, share_up_to, share_of, min, max, times"
    msg += " or second"
    raise ValueError(msg)


def _moment(pairs: list[tuple[float, int]], total: int, name: str) -> Estimate:
    mean = sum(value * count for value, count in pairs) / total
    second, fourth = (
        sum((value - mean) ** power * count for value, count in pairs) / total for power in (2, 4)
    )
    deviation = math.sqrt(second)
    if name == "mean":
        value, error = mean, deviation / math.sqrt(total)
    else:  # the delta method: var(s) = (m4 - s^4) / (4 n s^2)
        value = deviation
        spread = math.sqrt(max(0.0, fourth - second**2) / total)
        error = spread / (2 * deviation) if deviation else 0.0
    return Estimate(value=value, low=value - Z * error, high=value + Z * error, count=total)


def wilson(count: int, total: int) -> Estimate:
    """A share with Wilson's 99 % interval."""
    share = count / total
    centre = (share + Z**2 / (2 * total)) / (1 + Z**2 / total)
    half = Z / (1 + Z**2 / total) * math.sqrt(share * (1 - share) / total + (Z / (2 * total)) ** 2)
    return Estimate(
        value=share, low=min(centre - half, share), high=max(centre + half, share), count=total
    )
