"""The scoreboard: what became of every claim, as tables that a reader can sort and filter."""

from collections import Counter
from collections.abc import Sequence

import pandas as pd

from songtitle.paper import VERDICTS, Verdict
from songtitle.tables import Markup, Note, Table

KINDS = {"number": "numbers", "sentence": "sentences", "inconsistency": "inconsistencies"}


class Scoreboard(Table):
    """A table that the page's own script lets a reader sort and filter; whole without it."""

    def _repr_markdown_(self) -> str:
        text = super()._repr_markdown_()
        return text.replace(":header-rows: 1", ":header-rows: 1\n:class: scoreboard", 1)


def scoreboard_note(found: Sequence[Verdict]) -> Note:
    """Which records decided."""
    records = sorted({record for each in found for record in each.records})
    decided = [each for each in found if each.verdict in ("holds", "fails")]
    deciding = sorted({record for each in decided for record in each.records})
    return Note(
        "A ledger of what the paper says, not a reproduction of it",
        f"{len(found)} entries were held against {len(records)} published records. Decided by: "
        f"{'; '.join(deciding) or 'none'}.",
        kind="warning",
        records=[(name, key) for name, key, *_ in map(str.split, records) if key[0] != "("],
    )


def verdict_counts(found: Sequence[Verdict]) -> pd.DataFrame:
    """Entries by kind (rows) and verdict (columns)."""
    counted = Counter((each.kind, each.verdict) for each in found)
    rows = [[counted[kind, verdict] for verdict in VERDICTS] for kind in KINDS]
    return pd.DataFrame(rows, index=list(KINDS.values()), columns=list(VERDICTS))


def claim_rows(found: Sequence[Verdict]) -> pd.DataFrame:
    """Each number and sentence of the paper with its verdict; what the paper found comes first.

    A cell's first line is what it is sorted by. Claims that the paper alone can answer for (what
    it set, what it quotes) stand last.
    """
    rows = [
        [
            each.id,
            each.where,
            each.says,
            _lines(each.verdict, each.scope),
            _lines(each.here, each.why),
            (_link(each.page), *each.records),
            Markup(each.needs),
        ]
        for each in sorted(_claims(found), key=_interest)
    ]
    columns = ["Claim", "Place", "The paper says", "Verdict", "Here", "Shown in"]
    return pd.DataFrame(rows, columns=[*columns, "What would test it"])


def inconsistency_rows(found: Sequence[Verdict]) -> pd.DataFrame:
    """Each inconsistency with its arithmetic, and what was looked into and found sound."""
    rows = [
        [
            each.id,
            each.where,
            each.says,
            _lines(each.verdict, each.scope),
            each.weight,
            _lines(each.here, *(f"Source: {source}." for source in each.sources)),
            _link(each.page),
            Markup(each.needs),
        ]
        for each in found
        if each.kind == "inconsistency"
    ]
    columns = ["Inconsistency", "Place", "The paper says", "Verdict", "Kind", "Arithmetic"]
    return pd.DataFrame(rows, columns=[*columns, "Shown in", "What this book does"])


def verdict_facts(found: Sequence[Verdict]) -> dict[str, str]:
    """Counts for prose: `verdict.holds`, `verdict.claims.holds`, `verdict.other_data`, ..."""
    claims = _claims(found)
    said = {
        "verdict.entries": str(len(found)),
        "verdict.claims": str(len(claims)),
        "verdict.tables": str(sum(each.id.startswith("table") for each in claims)),
        "verdict.other_data": str(sum("other data" in each.scope for each in claims)),
        "verdict.broken": str(
            sum(each.kind == "inconsistency" and each.verdict != VERDICTS[0] for each in found)
        ),
    }
    for verdict in VERDICTS:
        count = sum(each.verdict == verdict for each in claims)
        said[f"verdict.{verdict.replace(' ', '_')}"] = str(count)
    return said


def _claims(found: Sequence[Verdict]) -> list[Verdict]:
    return [each for each in found if each.kind != "inconsistency"]


def _interest(each: Verdict) -> tuple[bool, bool]:
    """Sentences before numbers; what nothing here comes near goes last."""
    return not (each.here or each.scope), each.kind != "sentence"


def _link(page: str) -> Markup:
    notebook, anchor = page.split("#")
    name = f"{notebook}, {anchor}"
    return Markup(f"{{ref}}`{name} <{anchor}>`", bare=name)


def _lines(*lines: str) -> str:
    return "\n".join(line for line in lines if line)
