"""Series: items that are no more independent than copies, whatever links them."""

from collections.abc import Hashable, Iterable, Sequence

import numpy as np

NEAR = 0.65  # of the three-letter parts of two texts: "captain kelly", "captain kelley"


def joined(names: Sequence[str], *links: Sequence[Hashable]) -> list[str]:
    """Put items of one name, or of one link of any kind, into one series, and what hangs together.

    `links` hold a value for each item; None links with nothing. Gives each item the least name of
    its series, whatever the order of the items.
    """
    from scipy.sparse import coo_array  # what lists files has no use for it
    from scipy.sparse.csgraph import connected_components

    items = len(names)
    rows, columns, seen = [], [], 0
    for values in (names, *links):
        known: dict[Hashable, int] = {}
        for row, value in enumerate(values):
            if value is not None:
                rows.append(row)
                columns.append(items + seen + known.setdefault(value, len(known)))
        seen += len(known)
    size = items + seen
    graph = coo_array((np.ones(len(rows)), (rows, columns)), shape=(size, size))
    of_item = connected_components(graph, directed=False)[1][:items].tolist()
    least: dict[int, str] = {}
    for series, name in zip(of_item, names, strict=True):
        least[series] = min(name, least.get(series, name))
    return [least[series] for series in of_item]


def near_same(texts: Iterable[str]) -> list[int]:
    """Number each text such that those nearly spelt alike, and what hangs together, share one.

    Nearly alike are texts that share NEAR of the parts of three letters that either has (Jaccard).
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components
    from sklearn.feature_extraction.text import CountVectorizer  # a second to load

    parts = CountVectorizer(analyzer="char_wb", ngram_range=(3, 3), binary=True, dtype=np.int32)
    # The empty text stands in for texts without a part, which the reader of parts would refuse.
    held = parts.fit_transform([text or "(none)" for text in texts])
    sizes, common = held.sum(axis=1).A1, (held @ held.T).tocoo()
    either = sizes[common.row] + sizes[common.col] - common.data
    near = common.data >= NEAR * either
    graph = coo_array((near[near], (common.row[near], common.col[near])), shape=common.shape)
    return connected_components(graph, directed=False)[1].tolist()
