"""What a figure function says of its axis that cannot be read off its artists."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any
from weakref import WeakKeyDictionary

from matplotlib.axes import Axes


@dataclass(frozen=True, kw_only=True)
class Said:
    """Words about one axis; what is empty is read from the axis itself."""

    sentence: str = ""  # what a reader sees in it, with numbers and units
    panel: str = ""  # its name among the panels of a figure
    x: str = ""  # what its x stands for, where that is not its label
    y: str = ""
    columns: tuple[str, ...] = ()  # names of the squares of a heat map, from the left


_SAID: WeakKeyDictionary[Axes, Said] = WeakKeyDictionary()


def says(ax: Axes, sentence: str = "", **names: Any) -> Axes:
    """Put the finding of an axis in words, for those who hear the figure; returns the axis.

    A sentence without a full stop and without a capital is joined to the panel's name: "songs:
    rises from ...". `panel`, `x`, `y` and `columns` name what labels do not.
    """
    if isinstance(names.get("columns"), Sequence):
        names["columns"] = tuple(str(name) for name in names["columns"])
    if sentence:
        names["sentence"] = sentence
    _SAID[ax] = replace(said_of(ax), **names)
    return ax


def said_of(ax: Axes) -> Said:
    """What was said of an axis, all of it empty where nothing was."""
    return _SAID.get(ax, Said())
