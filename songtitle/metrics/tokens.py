"""What a score counts: words or letters, each as its own item; strings are refused."""

from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import Literal

Unit = Literal["words", "letters"]


def refuse_strings(lists: Iterable[object]) -> None:
    """Raise TypeError where a `str` stands in place of a token list."""
    for tokens in lists:
        if isinstance(tokens, str):
            msg = f"expected a list of tokens, got the string {tokens!r}; call tokenize() first"
            raise TypeError(msg)


def units_of(tokens: Sequence[str], unit: Unit) -> list[str]:
    """The words themselves, or the letters of the words set in a line, blanks included.

    Letters are what NLTK scores where it is given a `str` in place of a token list.
    """
    return list(" ".join(tokens)) if unit == "letters" else list(tokens)


def ngrams(tokens: Sequence[str], order: int) -> Iterable[Hashable]:
    """All n-grams in their order; a unigram is the token itself, a longer one a tuple."""
    return tokens if order == 1 else zip(*(tokens[i:] for i in range(order)), strict=False)


def numbered(items: Iterable[Hashable]) -> Iterator[tuple[Hashable, int]]:
    """Each item with how often it came before: the t-th "a" becomes ("a", t).

    Two lists so numbered share as many items as there are clipped matches between them.
    """
    seen: dict[Hashable, int] = defaultdict(int)
    for item in items:
        yield item, seen[item]
        seen[item] += 1
