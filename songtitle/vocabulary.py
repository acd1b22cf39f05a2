"""The vocabulary: a fixed list of words and their ids, with four special ids in front."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from songtitle.errors import InputError
from songtitle.machine import write_whole

SPECIALS = ("<pad>", "<bos>", "<eos>", "<unk>")


class Vocabulary:
    """Words with their ids; ids 0 to 3 are `<pad>`, `<bos>`, `<eos>` and `<unk>`.

    `words` come without the specials; word i has id `4 + i`. Two vocabularies are equal when
    their words are, in order. Raises InputError for a word that comes twice or is a special.
    """

    pad_id, bos_id, eos_id, unk_id = range(len(SPECIALS))

    def __init__(self, words: Sequence[str]) -> None:
        _refuse_string(words)
        self.words = tuple(words)
        self._ids = {word: i for i, word in enumerate(self.words, start=len(SPECIALS))}
        if len(self._ids) < len(self.words) or any(word in self._ids for word in SPECIALS):
            msg = "vocabulary: expected distinct words without specials such as <eos>, got one of "
            raise InputError(msg + "these, or a word twice; leave it out")

    @classmethod
    def from_tokens(cls, titles: Iterable[Sequence[str]], *, min_count: int = 4) -> "Vocabulary":
        """Take the words that the token lists hold at least `min_count` times.

        The most frequent comes first, equals in alphabetical order. Raises TypeError for a `str`.
        """
        counts: Counter[str] = Counter()
        for tokens in titles:
            _refuse_string(tokens)
            counts.update(tokens)
        kept = (w for w, n in counts.items() if n >= min_count and w not in SPECIALS)
        return cls(sorted(kept, key=lambda word: (-counts[word], word)))

    def encode(self, tokens: Sequence[str]) -> list[int]:
        """Give `<bos>`, the id of each token (`<unk>` for a word not known), `<eos>`."""
        _refuse_string(tokens)
        return [self.bos_id, *(self._ids.get(word, self.unk_id) for word in tokens), self.eos_id]

    def decode(self, ids: Iterable[int]) -> list[str]:
        """Give the words of the ids up to the first `<eos>`, without the specials.

        Raises InputError for an id outside the vocabulary.
        """
        tokens = []
        for i in map(int, ids):
            if i == self.eos_id:
                break
            if not 0 <= i < len(self):
                msg = f"vocabulary: expected ids from 0 to {len(self) - 1}, got {i}"
                raise InputError(msg)
            if i >= len(SPECIALS):
                tokens.append(self.words[i - len(SPECIALS)])
        return tokens

    def __len__(self) -> int:
        """How many ids there are, the specials counted: the width of a decoder's output."""
        return len(SPECIALS) + len(self.words)

    def __contains__(self, word: object) -> bool:
        return word in self._ids

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Vocabulary) and self.words == other.words

    def __hash__(self) -> int:
        return hash(self.words)

    def __repr__(self) -> str:
        return f"Vocabulary({len(self)} ids)"

    def save(self, path: Path) -> None:
        """Write the vocabulary as JSON; `load` gives an equal one. Whole or not at all."""
        text = json.dumps({"specials": SPECIALS, "words": self.words}, ensure_ascii=False, indent=0)
        write_whole(path, text + "\n")

    @classmethod
    def load(cls, path: Path) -> "Vocabulary":
        """Read what `save` wrote. Raises InputError, naming the file, for anything else."""
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            words = [word + "" for word in content["words"]]  # a TypeError for what is no text
            if content["specials"] == list(SPECIALS):
                return cls(words)
            came = f"the specials {content['specials']}"
        except InputError as error:
            came = f"[{error}]"
        except (OSError, ValueError, LookupError, TypeError) as error:
            came = getattr(error, "strerror", None) or "no JSON with words and specials"
        msg = f"{path}: expected what Vocabulary.save wrote, got {came}; check the path, "
        raise InputError(msg + "or write it anew")


def _refuse_string(tokens: Sequence[str]) -> None:
    if isinstance(tokens, str):
        msg = f"expected a list of tokens, got the string {tokens!r}; call tokenize() first"
        raise TypeError(msg)
