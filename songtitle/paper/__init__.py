"""What became of what the paper says: every claim held against the published records.

`verdicts` judges all of the ledger, `verdict` one entry; `numbers` are the ledger's: the paper's,
and constants from elsewhere. A claim's check stands in `paper.trials`, a relation between the
paper's own numbers in `paper.relations`.
"""

from songtitle.paper.judging import RESULTS, VERDICTS, Verdict, verdict, verdicts
from songtitle.paper.ledger import numbers

__all__ = ["RESULTS", "VERDICTS", "Verdict", "numbers", "verdict", "verdicts"]
