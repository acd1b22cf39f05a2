"""What the readers of corpora give: captioned items to learn from, titled ones to be named."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable


@dataclass(frozen=True, slots=True)
class Captioned:
    """A picture at hand, and what it shows in words."""

    id: str  # unique in its corpus, the same in every run
    path: Path
    caption: str  # uncleaned
    group: str  # items of one group stay on one side of a split


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
