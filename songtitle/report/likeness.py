"""What numbers and maps say of songs among pictures, as tables, frames for figures and words."""

from typing import Any

import pandas as pd

from songtitle.cache import Record
from songtitle.errors import InputError
from songtitle.fmt import estimate, minus, p_value, percent, span
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
    """Tabulate each kind beside the training pictures: every number with its interval or its p."""
    rows = [
        {
            "Kind": KINDS[kind],
            "Items": found["items"],
            "Mixing": _estimate(found["mixing"], 2, times=1),
            "Classifier (AUC)": f"{_estimate(found['auc'], 2, times=1)}, {_p(found['auc'])}",
            "MMD²": minus(f"{found['mmd']['value']:.3f}, {_p(found['mmd'])}"),
            "Inside the pictures": f"{_estimate(found['inside'])} %",
            "Pictures inside it": f"{_estimate(found['around'])} %",
        }
        for kind, found in record.result["kinds"].items()
    ]
    return pd.DataFrame(rows, dtype=object)


def apart_values(record: Record) -> pd.DataFrame:
    """Give numbers of `apart` with an interval: `kind, number, value, low, high, chance`."""
    rows = [
        {"kind": KINDS[kind], "number": said}
        | {key: found[name][key] for key in ("value", "low", "high", "chance")}
        for kind, found in record.result["kinds"].items()
        for name, said in _NUMBERS.items()
    ]
    return pd.DataFrame(rows)


def map_trust(record: Record) -> pd.DataFrame:
    """Tabulate trustworthiness and mixing of maps by reading and perplexity: ranges over starts."""
    maps = pd.DataFrame(record.result["maps"]).groupby(["reading", "perplexity"], sort=False)
    rows = [
        {
            "Reading": KINDS[reading],
            "Perplexity": f"{perplexity:g}",
            "Trustworthiness": span(found["trustworthiness"], 2),
            "Mixing on the map": span(found["mixing"], 2),
            "Mixing in the full space": f"{record.result['space'][reading]:.2f}",
        }
        for (reading, perplexity), found in maps
    ]
    return pd.DataFrame(rows)


def maps_of(record: Record, reading: str) -> pd.DataFrame:
    """Give every point of every map of one reading, with the numbers of its map.

    Raises InputError for a reading that has no map.
    """
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
    """Say in words, reading by reading, how far songs are contained in pictures."""
    said = []
    for kind in ("timbre_raw", "timbre_standardised", "spectrogram"):
        found = record.result["kinds"][kind]
        inside, around = found["inside"], found["around"]
        said.append(
            f"{KINDS[kind].capitalize()}: {percent(inside['value'], 0)} of songs are as near to "
            "pictures as pictures are to each other, "
            f"{percent(around['value'], 0)} of pictures as near to songs as songs "
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
    return (
        f"a plane puts a song on its own side of a picture {percent(auc['value'], 0)} of the time"
    )


def _estimate(found: dict[str, Any], digits: int = 1, times: int = 100) -> str:
    return estimate(found["value"], found["low"], found["high"], digits, times=times)


def _p(found: dict[str, Any]) -> str:
    return f"p = {p_value(found['p'])}"
