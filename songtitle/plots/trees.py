"""Beam search as a tree: every beginning that the hypotheses share is one node."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.patches import FancyBboxPatch

from songtitle.plots.findings import hand_on
from songtitle.plots.style import COLOURS, GREY, own_axes, require_some
from songtitle.plots.wording import tidy

END = "<eos>"  # the token that ends a title
STEP, LINE = 0.84, 0.42  # inches from token to token, and from line to line
SIZE, LETTERS = 8.5, 9  # points, and how many letters of that size a box takes
COLUMNS = ["node", "parent", "depth", "token", "log_prob", "rank", "best", "height"]


def tree_of(hypotheses: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """The prefix tree of hypotheses, best first, each with `tokens` and the `log_probs` of each.

    One row a node, the root first and every parent before its children: `node` and `parent` (row
    numbers, -1 above the root), `depth` in tokens, `token` ("" at the root), `log_prob` of the
    beginning that ends here in nats, `rank` of the hypothesis that ends here (1 is best, 0 where
    none does), `best` rank of those that go through it, and `height`, its line in a drawing: the
    best hypothesis runs along line 0, every other one gets a line of its own below the one that it
    leaves.
    """
    rows: list[dict[str, Any]] = [dict.fromkeys(COLUMNS, 0) | {"parent": -1, "token": ""}]
    children: dict[int, dict[str, int]] = {0: {}}
    rows[0] |= {"log_prob": 0.0, "best": 1}
    for rank, found in enumerate(hypotheses, start=1):
        here = 0
        for token, gain in zip(found["tokens"], found["log_probs"], strict=True):
            if token not in children[here]:
                place = len(rows)
                row = {"node": place, "parent": here, "depth": rows[here]["depth"] + 1}
                row |= {"token": token, "log_prob": rows[here]["log_prob"] + gain}
                rows.append(row | {"rank": 0, "best": rank, "height": 0})
                children[here][token], children[place] = place, {}
            here = children[here][token]
        rows[here]["rank"] = rank
    _lay_out(rows, children)
    return pd.DataFrame(rows, columns=COLUMNS)


def _lay_out(rows: list[dict[str, Any]], children: Mapping[int, Mapping[str, int]]) -> None:
    """Give each node its line: the first child shares its parent's, others start new ones."""
    lines = 0
    waiting = [0]
    while waiting:
        node = waiting.pop()
        row = rows[node]
        first = row["parent"] < 0 or next(iter(children[row["parent"]].values())) == node
        if first:
            row["height"] = rows[row["parent"]]["height"] if row["parent"] >= 0 else 0
        else:
            lines += 1
            row["height"] = lines
        waiting += reversed(list(children[node].values()))


def beam_tree(hypotheses: Sequence[Mapping[str, Any]], ax: Axes | None = None) -> Axes:
    """The tree of one song's hypotheses, best first, with `tokens` and `log_probs`.

    Each box holds a token and the log-probability, in nats, of the beginning that ends there. The
    best hypothesis is the top line, its boxes shaded and thicker; the rank of each stands in its
    last box. The number of hypotheses sets the figure's height.
    """
    require_some(hypotheses, "beam tree")
    tree = tree_of(hypotheses)
    lines, steps = int(tree["height"].max()), int(tree["depth"].max())
    limits = {"xlim": (-0.5, steps + 1.3), "ylim": (lines + 0.55, -0.55)}
    ax = own_axes(ax, (STEP * (steps + 1.8), LINE * (lines + 1.1)))
    corners, widths, colours = [], [], []
    for node in tree.itertuples():
        wins = node.best == 1
        if node.parent >= 0:
            start, bend = node.depth - 0.6, node.depth - 0.5
            above = tree["height"].iloc[node.parent]
            edge = node.depth - 0.4
            corners.append(
                [(start, above), (bend, above), (bend, node.height), (edge, node.height)]
            )
            widths.append(2.2 if wins else 1.0)
            colours.append(COLOURS[0] if wins else GREY)
        _box(ax, node, wins=wins)
    ax.add_collection(LineCollection(corners, linewidths=widths, colors=colours, zorder=1))
    ax.set(**limits)
    ax.axis("off")
    names = {name: name for name in COLUMNS[:-2]} | {"log_prob": "log-probability (nats)"}
    return hand_on(ax, tidy(tree, names), tree_alt(hypotheses))


def tree_alt(hypotheses: Sequence[Mapping[str, Any]]) -> str:
    """What the tree shows, as a sentence or two for those who do not see it."""
    require_some(hypotheses, "beam tree")
    tree = tree_of(hypotheses)
    said = [" ".join(word for word in found["tokens"] if word != END) for found in hypotheses]
    sums = [sum(found["log_probs"]) for found in hypotheses]
    text = f"Tree of {len(said)} {'hypothesis' if len(said) == 1 else 'hypotheses'} with "
    text += f"{len(tree) - 1} tokens in all. The winner is “{said[0] or '(nothing)'}” at "
    text += f"{sums[0]:.2f} nats"
    if len(said) == 1:
        return f"{text}; nothing else was kept."
    starts = list(dict.fromkeys(found["tokens"][0] for found in hypotheses))
    text += f", the last “{said[-1] or '(nothing)'}” at {sums[-1]:.2f}. They begin with "
    text += f"{len(starts)} different {'token' if len(starts) == 1 else 'tokens'}: "
    return text + f"{', '.join(starts[:5])}{' and others' if len(starts) > 5 else ''}."


def _box(ax: Axes, node: Any, *, wins: bool) -> None:
    """A node: its token, the log-probability up to it, and its rank where a hypothesis ends."""
    rank = "winner" if node.rank == 1 else f"{node.rank}." if node.rank else ""
    token = "start" if node.parent < 0 else "end" if node.token == END else node.token
    room = {"": 0.0, "winner": 0.78}.get(rank, 0.36)
    look: dict[str, Any] = {
        "facecolor": "0.9" if wins else "white",
        "edgecolor": COLOURS[0] if wins else GREY,
    }
    ax.add_patch(
        FancyBboxPatch(
            (node.depth - 0.4, node.height - 0.4),
            0.8 + room,
            0.8,
            boxstyle="round,pad=0,rounding_size=0.08",
            mutation_aspect=STEP / LINE,  # so that corners are round and not oval
            linewidth=1.8 if wins else 0.8,
            zorder=2,
            **look,
        )
    )
    fit = min(1.0, LETTERS / max(1, len(token)))
    up = 0.0 if node.parent < 0 else 0.17
    centred: dict[str, Any] = {
        "ha": "center",
        "va": "center",
        "zorder": 3,
        "parse_math": False,
    }  # a token may be $
    ax.text(node.depth, node.height - up, token, size=SIZE * fit, **centred)
    if node.parent >= 0:
        value = f"{node.log_prob:.1f}".replace("-", "\N{MINUS SIGN}")
        ax.text(node.depth, node.height + up, value, size=SIZE - 1, family="monospace", **centred)
    if rank:
        middle = node.depth + 0.38 + room / 2
        ax.text(middle, node.height, rank, size=SIZE, style="italic", **centred)
