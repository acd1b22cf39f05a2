"""What every loader's items have in common, whatever they were made from.

A corpus to train on gives `Captioned` items, one to be named gives `Titled` ones: code above the
loaders asks for no more than this. `tests/test_datasets.py` holds every loader to it.
"""

from pathlib import Path
from typing import Protocol, runtime_checkable


@runtime_checkable
class Captioned(Protocol):
    """A picture or a sound, and what it shows in words."""

    @property
    def id(self) -> str:
        """Unique in its corpus, the same in every run."""

    @property
    def path(self) -> Path:
        """The picture or sound file."""

    @property
    def caption(self) -> str:
        """What it shows, uncleaned."""

    @property
    def group(self) -> str:
        """Items of one group stay on one side of a split."""


@runtime_checkable
class Titled(Protocol):
    """A song that has a title."""

    @property
    def id(self) -> str:
        """Unique in its corpus, the same in every run."""

    @property
    def title(self) -> str:
        """As its source has it, uncleaned."""

    @property
    def group(self) -> str:
        """Its artist, or what else must not be on two sides of a split."""
