"""Course: a notebook's student version and its hidden checks, and a grader for what comes back.

`write(folder)` makes both from the notebooks of the book, `grade(submission)` marks one notebook.
The exercises stand in the notebooks as sphinx-exercise has them; `questions` says with which tags.
otter-grader does the work: strips solutions, packs the checks, runs a submission.
"""

from songtitle.course.assignments import NOTEBOOKS, master, named, write
from songtitle.course.grades import Grade, grade
from songtitle.course.questions import Exercise, exercises, read_notebook

__all__ = [
    "NOTEBOOKS",
    "Exercise",
    "Grade",
    "exercises",
    "grade",
    "master",
    "named",
    "read_notebook",
    "write",
]
