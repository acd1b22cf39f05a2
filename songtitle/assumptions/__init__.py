"""Assumptions: what the paper leaves open, each question one typed parameter with its answers.

`ASSUMPTIONS` lists them by name. An answer is a change of the settings (`apply` makes it), a change
of how results are read (`reading` gives it), or none that small data could test: then `page` names
the page of the book that decides.
"""

from songtitle.assumptions.changes import BOOK, Answer, Assumption, Reading, Settings
from songtitle.assumptions.questions import ASSUMPTIONS
from songtitle.assumptions.switching import apply, assumption, open_answers, reading, taken

__all__ = [
    "ASSUMPTIONS",
    "BOOK",
    "Answer",
    "Assumption",
    "Reading",
    "Settings",
    "apply",
    "assumption",
    "open_answers",
    "reading",
    "taken",
]
