"""What numbers and maps say of songs among pictures, as tables, frames for figures and words."""

from typing import Any

import pandas as pd

from songtitle.cache import Record
from songtitle.errors import InputError
from songtitle.tables import Note

KINDS = {
    "held_out": "held-out pictures",
    "timbre_raw": "timbre, raw",
    "timbre_standardised": "timbre, standardised",
    "spectrogram": "spectrogram",
    "noise": "noise of unit scale",
    "gaussian": "noise shaped like pictures",
}
_NUMBERS = {
    "mixing": "mixing",
    "auc": "classifier (AUC)",
    "inside": "inside the pictures",
    "around": "pictures inside it",
}


def apart(record: Record) -> pd.DataFrame:
    """Each kind beside the training pictures: every number with its interval or its p."""
    rows = []
    for kind, found in record.result["kinds"].items():
        mmd = found["mmd"]
        rows.append(
            [
                KINDS[kind],
                found["items"],
                _interval(found["mixing"]),
                f"{_interval(found['auc'])}, {_p(found['auc'])}",
                f"{mmd['value']:.3f}, {_p(mmd)}".replace("-", "−"),
                _percent(found["inside"]),
                _percent(found["around"]),
            ]
        )
    columns = ["Kind", "Items", "Mixing", "Classifier (AUC)", "MMD²", "Inside the pictures"]
    return pd.DataFrame(rows, columns=[*columns, "Pictures inside it"], dtype=object)


def apart_values(record: Record) -> pd.DataFrame:
    """The numbers of `apart` that have an interval, for a figure: one to a row."""
    rows = [
        {"kind": KINDS[kind], "number": said}
        | {key: found[name][key] for key in ("value", "low", "high", "chance")}
        for kind, found in record.result["kinds"].items()
        for name, said in _NUMBERS.items()
    ]
    return pd.DataFrame(rows)


def map_trust(record: Record) -> pd.DataFrame:
    """Trustworthiness, and mixing on the map, by reading and perplexity: the range over starts."""
    maps = pd.DataFrame(record.result["maps"])
    rows = []
    for (reading, perplexity), found in maps.groupby(["reading", "perplexity"], sort=False):
        rows.append(
            [
                KINDS[reading],
                f"{perplexity:g}",
                _range(found["trustworthiness"]),
                _range(found["mixing"]),
                f"{record.result['space'][reading]:.2f}",
            ]
        )
    columns = ["Reading", "Perplexity", "Trustworthiness", "Mixing on the map"]
    return pd.DataFrame(rows, columns=[*columns, "Mixing in the full space"])


def maps_of(record: Record, reading: str) -> pd.DataFrame:
    """Every point of every map of one reading, with what is known of its map, for a figure."""
    maps = pd.DataFrame(record.result["maps"])
    if reading not in set(maps["reading"]):
        known = ", ".join(dict.fromkeys(maps["reading"]))
        msg = f"maps: expected a reading of {known}, got {reading!r}; choose one of these"
        raise InputError(msg)
    points = pd.read_csv(record.file("maps.csv"))
    points = points[points["reading"] == reading]
    found = points.merge(maps, on=["reading", "perplexity", "start"], how="left")
    return found.replace({"kind": KINDS})


def containment_note(record: Record) -> Note:
    """What the numbers say of "contained", reading by reading, in words."""
    said = []
    for kind in ("timbre_raw", "timbre_standardised", "spectrogram"):
        found = record.result["kinds"][kind]
        inside, around = found["inside"], found["around"]
        said.append(
            f"{KINDS[kind].capitalize()}: {_share(inside)} of songs are as near to pictures as "
            f"pictures are to each other, {_share(around)} of pictures as near to songs as songs "
            f"are to each other; {_neighbours(found['mixing'])}; {_told_apart(found['auc'])}."
        )
    return Note("What “contained” comes to here", " ".join(said), kind="tip")


def _neighbours(mixing: dict[str, Any]) -> str:
    if mixing["value"] == 0:
        return "no neighbour of a song is a picture"
    return f"songs have {mixing['value']:.2f} times the picture neighbours of a random mixture"


def _told_apart(auc: dict[str, Any]) -> str:
    if auc["p"] > 0.05:
        return f"a plane does not tell the two apart (AUC {auc['value']:.2f})"
    return f"a plane puts a song on its own side of a picture {_share(auc)} of the time"


def _share(found: dict[str, Any]) -> str:
    return f"{100 * found['value']:.0f} %"


def _interval(found: dict[str, Any]) -> str:
    return f"{found['value']:.2f} [{found['low']:.2f}, {found['high']:.2f}]"


def _percent(found: dict[str, Any]) -> str:
    value, low, high = (100 * found[key] for key in ("value", "low", "high"))
    return f"{value:.1f} [{low:.1f}, {high:.1f}] %"


def _p(found: dict[str, Any]) -> str:
    return f"p = {found['p']:.3f}"


def _range(values: pd.Series) -> str:
    return f"{values.min():.2f} to {values.max():.2f}"
