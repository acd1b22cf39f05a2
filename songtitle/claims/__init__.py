"""What the paper says, in numbers and sentences, and what became of it when it was tested.

`paper` and `paper_table` give its numbers as printed; `read_ledger` all that it says and that can
be checked; `verdicts` holds each against the published records, `verdict` one of them.
"""

from songtitle.claims.judging import RESULTS, VERDICTS, Verdict, verdict, verdicts
from songtitle.claims.ledger import Claim, Inconsistency, Ledger, read_ledger
from songtitle.claims.printed import CLAIMS, paper, paper_table

__all__ = [
    "CLAIMS",
    "RESULTS",
    "VERDICTS",
    "Claim",
    "Inconsistency",
    "Ledger",
    "Verdict",
    "paper",
    "paper_table",
    "read_ledger",
    "verdict",
    "verdicts",
]
