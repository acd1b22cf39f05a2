"""The census: the paper's own corpora, counted wherever they are, whole or as a sample.

`answers` gives the record of each question that can be answered; `questions` has them all, and
where their files are looked for.
"""

from songtitle.census.questions import QUESTIONS, answers

__all__ = ["QUESTIONS", "answers"]
