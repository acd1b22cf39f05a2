"""The paper's ledger: what it says, numbers that show how they were worked out, their relations.

With `n = numbers()`, `n["headline.in_domain"] - n["headline.out_domain"]` is 16.2 and shows
"61.3 − 45.1". A relation holds two such numbers together, and says whether it holds: does what the
paper says in one place follow from another, or from a fact from elsewhere? No data are needed.
"""

import math
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from songtitle.paper.printed import cells, ledger

Real = float | int
BEAMS = (1, 5, 10, 15, 20)  # of Table 4
SUM, PRODUCT, POWER, WHOLE = range(4)  # how firmly the parts of what is shown hang together


def _operators(sign: str, rank: int, work: Callable[[float, float], float]) -> Any:
    """Make the methods that join two numbers by a sign: self on the left, self on the right."""

    def join(left: Real, right: Real) -> "Number":
        a, b = _number(left), _number(right)
        sides = (
            side.shown if side.rank >= least else f"({side.shown})"
            for side, least in ((a, rank), (b, rank + 1))
        )
        return Number(work(float(a), float(b)), f" {sign} ".join(sides), a.names | b.names, rank)

    return join, lambda self, other: join(other, self)


class Number(float):
    """A number, how it was worked out, and the names of the numbers that it was made of."""

    shown: str
    names: frozenset[str]
    rank: int  # of SUM to WHOLE

    def __new__(  # noqa: D102
        cls, value: Real, shown: str = "", names: frozenset[str] = frozenset(), rank: int = WHOLE
    ) -> "Number":
        made = super().__new__(cls, value)
        made.shown, made.names, made.rank = shown or written(value), names, rank
        return made

    __add__, __radd__ = _operators("+", SUM, operator.add)
    __sub__, __rsub__ = _operators("−", SUM, operator.sub)
    __mul__, __rmul__ = _operators("×", PRODUCT, operator.mul)
    __truediv__, __rtruediv__ = _operators("/", PRODUCT, operator.truediv)
    __pow__, __rpow__ = _operators("^", POWER, operator.pow)


Numbers = Mapping[str, Number]  # by their names in the ledger


def _number(value: Real) -> Number:
    return value if isinstance(value, Number) else Number(value, str(value))


def _names(values: Sequence[Number]) -> frozenset[str]:
    return frozenset().union(*(each.names for each in values))


def _apply(work: Callable[..., float], *values: Real) -> Number:
    made = [_number(value) for value in values]
    shown = f"{work.__name__}({', '.join(each.shown for each in made)})"
    return Number(work(*map(float, made)), shown, _names(made))


least, largest, floor = (partial(_apply, work) for work in (min, max, math.floor))


def written(value: Real) -> str:
    """Write a number: whole ones whole, others with two decimals or three digits."""
    if value == int(value) or abs(value) >= 1000:
        return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.0f}"  # a year has no comma
    return f"{value:.2f}".rstrip("0").rstrip(".") if abs(value) >= 1 else f"{value:.3g}"


@dataclass(frozen=True)
class Relation:
    """Two numbers that the paper's words put in a relation to each other, and whether it holds."""

    holds: bool
    text: str  # "gap: (61.3 − 45.1 = 16.2) = 15.7 within 0.05? no"
    names: frozenset[str]  # of the numbers in it


def compare(left: Real, sign: str, right: Real) -> bool:
    """Say whether `left sign right`, one of = ≤ ≥ < >, holds for sums of printed decimals."""
    # Such a sum is not exact in binary: 61.3 - 45.6 is 15.699999999999996.
    same = math.isclose(left, right, rel_tol=1e-9, abs_tol=1e-9)
    if sign == "=" or same:
        return same and sign in "=≤≥"
    return left < right if sign in "<≤" else left > right


def relate(about: str, left: Real, sign: str, right: Real, within: Real = 0) -> Relation:
    """Relate two numbers by a sign, as `compare` does; equal ones may differ by `within`."""
    a, b, slack = made = [_number(value) for value in (left, right, within)]
    close = abs(float(a) - float(b)) <= float(slack) + 1e-9
    holds = compare(left, sign, right) or (sign == "=" and close)
    texts = [
        text if side.shown == text else f"({side.shown} = {text})"
        for side, text in ((a, written(a)), (b, written(b)))
    ]
    allowed = f" within {written(slack)}" if slack else ""
    text = f"{about}: {texts[0]} {sign} {texts[1]}{allowed}? {'yes' if holds else 'no'}"
    return Relation(holds, text, _names(made))


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A claim of the paper (number, sentence), things in it put side by side (relation), or what it
    leaves unsaid (question)."""

    id: str
    kind: str  # "number", "sentence", "relation" or "question"
    where: str
    says: str
    pages: tuple[str, ...]  # where the deciding numbers stand: "04_search#tab-4"
    needs: str  # what would test it; of a relation, what this book does about it
    beyond: str = ""  # why no record could test it: author, unmeasured or nothing
    weight: str = ""  # of a relation: number, method, wording, outside or odd
    asks: str = ""  # of a question
    quotes: tuple[str, ...] = ()  # the paper's words, where no numbers are compared


def numbers(other: Mapping[str, Real] | None = None) -> dict[str, Number]:
    """Give the numbers of the paper and its tables, and constants from elsewhere, by name.

    `other` values replace some. A cell that the paper leaves out (NA) has none.
    """
    rows = ledger()["number"] + ledger()["constant"]
    found = {row["id"]: row["value"] for row in rows}
    found |= {id: cell for id, _, _, cell in cells() if cell == cell} | dict(other or {})
    return {id: Number(value, names=frozenset({id})) for id, value in found.items()}


def entries(n: Numbers) -> list[Entry]:
    """List numbers in the text, cells of the tables, sentences, questions, and relations."""
    found: list[dict[str, Any]] = []
    for row in ledger()["number"]:
        note = f" ({row['note']})" if row["note"] else ""
        says = f"{written(n[row['id']])} {row['unit']}{note}"
        found.append({"id": row["id"], "kind": "number", "where": row["where"], "says": says})
    for id, label, column, value in cells():
        if value == value:  # not NA
            size = n.get(f"{id.rpartition('.')[0]}.tile_size")
            what = f"k = {column}" if column.isdigit() else column.replace("_", " ")
            says = f"{label}{f', {written(size)} px' if size else ''}, {what}: {written(n[id])}"
            found.append({"id": id, "kind": "number", "where": f"Table {id[5]}", "says": says})
    for row in ledger()["sentence"]:
        found.append({"kind": "sentence"} | {name: row[name] for name in ("id", "where", "says")})
    tests = {id: row for row in ledger()["testing"] for id in row["claims"]}
    for entry in found:
        test = tests.get(entry["id"]) or tests[entry["id"].rpartition(".")[0]]
        entry |= {name: test[name] for name in ("page", "needs", "beyond") if name in test}
    found += [{"kind": "question"} | row for row in ledger()["question"]]
    for row in ledger()["relation"]:
        kept = {name: row[name] for name in ("id", "where", "says", "page", "weight")}
        quotes = tuple(row.get("quotes", ()))
        found.append(kept | {"kind": "relation", "needs": row["here"], "quotes": quotes})
    return [Entry(pages=tuple(entry.pop("page").split()), **entry) for entry in found]


def relations(n: Numbers) -> dict[str, list[Relation]]:
    """Give what has to hold between the numbers `n`, by the name of a relation or claim."""
    known = {**n, **{f"worked.{name}": value for name, value in worked(n).items()}}
    return {
        entry["id"]: [relate(*(known.get(each, each) for each in row)) for row in entry["compare"]]
        for entry in ledger()["sentence"] + ledger()["relation"]
        if "compare" in entry
    }


def worked(n: Numbers) -> dict[str, Number]:
    """Work out what the ledger compares by a name of its own."""
    songs, pictures = ("msd", "fma"), ("cc32", "cc64", "cc128", "cc256")  # rows of Table 4
    deviation, window = n["table1.cc.std_length"], n["spectrogram.window"]
    crop, best = n["image.crop"], n["search.best_beam"]
    timbre, means, dim = n["timbre.dim"], n["timbre.means"], n["encoder.dim"]
    score = {(row, k): n[f"table4.{row}.{k}"] for row in (*pictures, *songs) for k in BEAMS}
    lead = {
        row: n[f"table5.{row}.ours_5"] - n[f"table5.{row}.audiocaps_1"]
        for row in ("mfcc", "spectrogram")
    }
    rise = {row: score[row, 5] / score[row, 1] for row in (*pictures, *songs)}
    # of BLEU per second, if five beams take five times as long
    fall = {row: best / times for row, times in rise.items()}

    def lengths(row: str) -> Number:
        return n[f"table1.{row}.max_length"] - n[f"table1.{row}.min_length"]

    def gains(rows: Sequence[str], beam: int, wider: int) -> list[Number]:
        return [score[row, wider] - score[row, beam] for row in rows]

    def lead_of_whole(beam: int) -> Number:  # over the lowest of the pictures that are cut
        return score["cc256", beam] - least(*(score[row, beam] for row in pictures[:3]))

    def frames(samples: Number) -> Number:
        return floor((samples - window) / (window / 2)) + 1

    return {
        "ten_times_others": largest(10 * n["coco.pictures"], n["im2txt.captions"]),
        "range_fma": lengths("fma"),
        "narrower_range": least(lengths("cc"), lengths("msd")),
        "smaller_lead": least(*lead.values()),
        # Five standard errors of a deviation at a kurtosis of nine, and half of the last digit
        # printed.
        "deviation_slack": 0.05 + 5 * deviation * math.sqrt(2 / n["table1.cc.examples"]),
        "frames": frames(n["clip.samples"]),
        "frames_slack": n["reading.about_share"] * n["spectrogram.frames"],
        "frames_short": frames(n["outside.clip_short"]),
        "frames_long": frames(n["outside.clip_long"]),
        "bins": n["spectrogram.n_fft"] / 2,
        # kbit/s of sound without loss
        "lossless_rate": n["clip.sample_rate"] * n["clip.bit_depth"] * n["clip.channels"] / 1000,
        "days": n["training.epochs"]
        * (1 - n["captions.dead_links"] / 100)
        * n["captions.train"]
        * n["outside.multiply_adds"]
        / n["outside.cpu_rate"]
        / 86400,
        "headline_gap": n["headline.in_domain"] - n["table4.msd.5"],
        **{f"{row}_{k}": score[row, k] / 100 for row in songs for k in (1, 5)},
        "steepest_picture": largest(*(rise[row] for row in pictures)),
        "gentlest_song": least(*(rise[row] for row in songs)),
        "lead_of_five": least(
            *(score[row, 5] - largest(*(score[row, k] for k in BEAMS if k != 5)) for row in rise)
        ),
        "lead_of_pictures": least(
            *(
                least(*(score[row, k] for row in pictures))
                - largest(*(score[row, k] for row in songs))
                for k in BEAMS
            )
        ),
        "largest_gain": largest(*gains((*pictures, *songs), 5, 10)),
        "largest_rise": largest(*gains(("cc32", "cc128", "cc256", *songs), 15, 20)),
        "times_as_long": n["search.msd_rate_drop"] * score["msd", 5] / score["msd", 1],
        "fall_msd": fall["msd"],
        "largest_fall": largest(*(fall[row] for row in ("fma", *pictures))),
        **{
            f"behind_{row}": 1 - n[f"table5.{row}.ours_1"] / n[f"table5.{row}.audiocaps_1"]
            for row in lead
        },
        "best_lead": largest(*map(lead_of_whole, BEAMS[1:])),
        "crop_share": 100 * (crop / n["image.min_side"]) ** 2,
        "left_over": dim - timbre * floor(dim / timbre),
        "songs_lower": 1 - score["msd", 5] / n["headline.in_domain"],
        **{f"whole_words_{row}": floor(n[f"table1.{row}.mean_length"] + 0.5) for row in songs},
        "years": n["titles.msd.last_year"] - n["titles.msd.first_year"],
        "captions": n["captions.train"] + n["captions.valid"] + n["captions.test"],
        "samples": n["clip.sample_rate"] * n["clip.duration"],
        "timbre": means + n["timbre.covariances"],
        "covariances": means * (means + 1) / 2,
        **{f"tiles_{row}": (crop / n[f"table4.{row}.tile_size"]) ** 2 for row in pictures},
        **{f"lead_{row}": value for row, value in lead.items()},
        "msd_gain": rise["msd"],
        "clips": n["clip.genres"] * n["clip.per_genre"],
    }
