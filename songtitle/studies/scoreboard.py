"""Page 14, the scoreboard: what became of each claim."""

from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes

from songtitle import figures
from songtitle.figures import COLOURS
from songtitle.paper.judging import BEYOND, CONTRADICTS, FAILS, HOLDS, ODD, VERDICTS, Verdict
from songtitle.tables import Markup, Note, Table

HATCHES = ["", "//", "..", "xx", "--", "++"]
ORDER = (CONTRADICTS, FAILS, ODD, HOLDS)  # of relations
KINDS = {"number": "numbers", "sentence": "sentences", "relation": "relations"}


class Scoreboard(Table):
    """A table that the page's own script lets a reader sort and filter; whole without it."""

    def _repr_markdown_(self) -> str:
        text = super()._repr_markdown_()
        return text.replace(":header-rows: 1", ":header-rows: 1\n:class: scoreboard", 1)


def scoreboard_note(found: Sequence[Verdict]) -> Note:
    """Say how many entries there are, and which records decided."""
    records = sorted({record for each in found for record in each.records})
    decided = [each for each in found if each.verdict in (HOLDS, FAILS)]
    deciding = sorted({record for each in decided for record in each.records})
    return Note(
        "A ledger of what the paper says, not a reproduction of it",
        f"{len(found)} entries were held against {len(records)} published records. Decided by: "
        f"{'; '.join(deciding) or 'none'}.",
        kind="warning",
        records=[(name, key) for name, key, *_ in map(str.split, records) if key[0] != "("],
    )


def verdict_counts(found: Sequence[Verdict]) -> pd.DataFrame:
    """Count entries by kind (rows) and verdict (columns)."""
    judged = [(KINDS[each.kind], each.verdict) for each in found if each.verdict]
    counts = pd.DataFrame(judged).value_counts()
    wide = counts.unstack(fill_value=0)
    wide = wide.reindex(index=list(KINDS.values()), columns=list(VERDICTS), fill_value=0)
    return wide.rename_axis(index=None, columns=None)


def claim_rows(found: Sequence[Verdict]) -> pd.DataFrame:
    """Tabulate each number and sentence of the paper with its verdict, its findings first.

    A cell's first line is what it is sorted by. Claims that the paper alone can answer for (what
    it set, what it quotes) stand last.
    """
    claims = [each for each in found if each.kind in ("number", "sentence")]
    # Sentences before numbers; what nothing here comes near goes last.
    claims.sort(key=lambda each: (not each.here + each.scope, each.kind != "sentence"))
    rows = [
        _said("Claim", each)
        | {
            "Here": _lines(each.here, each.why),
            "Shown in": (*map(_link, each.pages), *each.records),
            "What would test it": Markup(each.needs),
        }
        for each in claims
    ]
    return pd.DataFrame(rows)


def relation_rows(found: Sequence[Verdict]) -> pd.DataFrame:
    """Tabulate what was held together in the paper: what does not fit first, then what does."""
    related = [each for each in found if each.kind == "relation"]
    related.sort(key=lambda each: ORDER.index(each.verdict))
    rows = [
        _said("Relation", each)
        | {
            "Kind": each.weight,
            "Comparison": _lines(each.here, *(f"Source: {source}." for source in each.sources)),
            "Shown in": tuple(map(_link, each.pages)),
            "What this book does": Markup(each.needs),
        }
        for each in related
    ]
    return pd.DataFrame(rows)


def question_rows(found: Sequence[Verdict]) -> pd.DataFrame:
    """Tabulate what the paper leaves unsaid, with the test of each question and no verdict."""
    rows = [
        {
            "Question": each.asks,
            "Place": each.where,
            "The paper says": each.says,
            "Test": each.here,
            "Shown in": (*map(_link, each.pages), *each.records),
            "What would answer it": Markup(each.needs),
        }
        for each in found
        if each.kind == "question"
    ]
    return pd.DataFrame(rows)


def verdict_facts(found: Sequence[Verdict]) -> dict[str, str]:
    """Count entries for prose: `verdict.holds`, `verdict.claims`, `verdict.other_data`, ..."""
    claims = [each for each in found if each.kind in ("number", "sentence")]
    related = [each for each in found if each.kind == "relation"]
    counts = {
        "claims": len(claims),
        "relations": len(related),
        "questions": sum(not each.verdict for each in found),
        "other_data": sum("other data" in each.scope for each in claims),
        "beyond": sum(each.why.startswith(BEYOND) for each in claims),
    }
    for verdict in VERDICTS:
        name = verdict.replace(" ", "_")
        counts[name] = sum(each.verdict == verdict for each in claims)
        counts[f"related.{name}"] = sum(each.verdict == verdict for each in related)
    return {f"verdict.{name}": str(count) for name, count in counts.items()}


def _said(head: str, each: Verdict) -> dict[str, str]:
    verdict = _lines(each.verdict, each.scope)
    return {head: each.id, "Place": each.where, "The paper says": each.says, "Verdict": verdict}


def _link(page: str) -> Markup:
    notebook, anchor = page.split("#")
    name = f"{notebook}, {anchor}"
    return Markup(f"{{ref}}`{name} <{anchor}>`", bare=name)


def _lines(*lines: str) -> str:
    return "\n".join(filter(None, lines))


def verdict_bars(counts: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Stacked bars: a row of `counts` is a bar, a column a part of it, with its number inside."""
    figures.require(counts, list(counts.columns[:1]) or ["counts"], "verdict bars")
    ax, names = figures.own_axes(ax), [str(name) for name in counts.index]
    lefts = counts.cumsum(axis="columns") - counts
    for place, (verdict, widths) in enumerate(counts.items()):
        look = {"color": COLOURS[place % len(COLOURS)], "hatch": HATCHES[place % len(HATCHES)]}
        look |= {"label": str(verdict), "edgecolor": "white"}
        bars = ax.barh(names, widths, left=lefts[verdict], **look)
        shown = [f"{width:.0f}" if width else "" for width in widths]
        for label in ax.bar_label(bars, shown, label_type="center", fontsize=10):
            if label.get_text():
                label.set_bbox({"facecolor": "white", "edgecolor": "none", "pad": 1.5})
    ax.invert_yaxis()
    ax.grid(axis="y", visible=False)
    ax.set_xlabel("entries of the ledger")
    figures.legend_below(ax, drop=0.18, ncols=2)
    drawn = counts.rename_axis(index="of").reset_index()
    drawn = drawn.melt("of", var_name="verdict", value_name=ax.get_xlabel())
    told = []  # the parts of each bar, the largest first
    for name, row in counts.iterrows():
        order = row[row > 0].sort_values(ascending=False, kind="stable")
        parts = figures.some([f"{int(value)} {verdict}" for verdict, value in order.items()])
        told.append(f"{name}, {int(row.sum())} in all: {parts}")
    return figures.hand_on(ax, drawn, "; ".join(told))
