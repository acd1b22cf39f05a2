"""What the paper says in numbers, as printed; what became of it is in `songtitle.paper`.

`paper` gives one number by its name, `paper_table` one of the five tables.
"""

from songtitle.claims.printed import CLAIMS, paper, paper_table

__all__ = ["CLAIMS", "paper", "paper_table"]
