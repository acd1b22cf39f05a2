"""Titles and captions made plain: lower case, words apart by one space, no stray punctuation.

A clean text holds words of letters and digits with inner hyphens, apostrophes and decimal points
("over-watch", "don't", "1.5"), single spaces between them, nothing else; cleaning it again changes
nothing. The rules are those that real titles asked for; `tests/test_text.py` holds the table.
"""

import html
import re
import unicodedata
from collections.abc import Sequence

_SIGNS = str.maketrans(
    {
        **dict.fromkeys("‘’ʼ‛′`´\x18\x19", "'"),  # \x18..\x1d: cp1252 quotes cut to their low byte
        **dict.fromkeys("“”„‟″«»\x1c\x1d", '"'),
        **dict.fromkeys("‐‑‒–−\x13", "-"),
        **dict.fromkeys("—―\x14", " - "),  # the long dash parts words, the short one may join them
        "&": " and ",
        "_": ",",  # as Million Song dumps write a comma
    }
)
_FILE_ENDING = re.compile(r"\.(mp3|ogg|flac|wav)\s*$", re.IGNORECASE)
_BEFORE_FIRST_WORD = re.compile(r"^[\W_]+")
_ASIDE = re.compile(r"[(\[{][^()\[\]{}]*[)\]}]")
_NUMBERING = re.compile(r"^\d{1,2}([.)]|\s+-+)\s+(?=[^\W\d])")
_LAST_ARTICLE = re.compile(r"^(.*\w.*),\s*(the|a|an|na)\W*$", re.IGNORECASE)
_FEATURING = frozenset({"feat", "ft", "featuring"})

_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
_CLITIC = re.compile(r"(?<=[a-z0-9])\s+(?='(?:s|re|ve|ll|d|m)\b)")  # "a man 's" is "a man's"
_NOT = re.compile(r"(?<=[a-z]) (?=n't(?: |$))")  # "do n't" is "don't"
_INSIDE_WORD = re.compile(
    r"(?<=[^\W\d])[.*$]+(?=[^\W\d])"  # U.S.A., M*A*S*H
    r"|(?<=[a-z]):(?=[a-z])|(?<=[A-Z]):(?=[A-Z])"  # a scanner's "Pat:terson"; not "Mercy:The"
    r"|(?<=[A-Za-z])=(?=[A-Za-z])"  # an old printer's hyphen
)
_UNIT = r"(?:\d+(?:\.\d+)+|[0-9A-Za-z\x80-\U0010ffff]+)"
_WORD = re.compile(rf"{_UNIT}(?:['-]{_UNIT})*")


def clean_title(raw: str) -> str:
    """The words of a song title in lower case, as a listener would say them.

    On top of what `clean_caption` does, a trailing article returns to the front ("Garden of
    Daisies, The"), track numbers ("01 Whales", "13. Dis"), file endings and whatever follows
    "feat.", "ft." or "featuring" go. `clean_title(clean_title(x)) == clean_title(x)`. A title
    without a letter or digit gives the empty string.
    """
    text = _FILE_ENDING.sub("", _plain_signs(raw))
    text = _NUMBERING.sub("", _without_asides(text))
    if match := _LAST_ARTICLE.match(text):
        text = f"{match[2]} {match[1]}"
    words = _words(text)
    while len(words) > 1 and re.fullmatch("0[0-9]", words[0]):
        del words[0]
    guests = [i for i, word in enumerate(words) if word in _FEATURING and 0 < i < len(words) - 1]
    return " ".join(words[: guests[0]] if guests else words)


def clean_caption(raw: str) -> str:
    """The words of a caption in lower case: "A great blue heron." -> "a great blue heron".

    Quotes and dashes become ASCII, "&" becomes "and", a bracketed aside after the first word goes,
    and of the punctuation only that inside words stays. Letters of other scripts and accents stay.
    `clean_caption(clean_caption(x)) == clean_caption(x)`.
    """
    return " ".join(_words(_without_asides(_plain_signs(raw))))


def tokenize(text: str) -> list[str]:
    """The words of a clean text, in order; on text that is not clean, punctuation is left out.

    `" ".join(tokenize(clean_title(x))) == clean_title(x)`, and the same for captions.
    """
    return _WORD.findall(text)


def named_entities(titles: Sequence[str]) -> list[bool] | None:
    """Whether each title holds a named entity, by NLTK's binary chunker; None without its data.

    Give titles in their original letter case: on lower-case text the chunker finds next to
    nothing. Needs the NLTK data packages `averaged_perceptron_tagger_eng`,
    `maxent_ne_chunker_tab` and `words`; where one is absent the answer is None and the caller
    says that the rule was left out. Raises TypeError for a lone `str`.
    """
    if isinstance(titles, str):
        msg = f"expected a list of titles, got the string {titles!r}; put it in a list"
        raise TypeError(msg)
    import nltk  # seconds to import, and only this filter wants it

    try:
        tagger = nltk.tag.PerceptronTagger()
        # nltk.ne_chunk would load the model again for each title (0.4 s against under 1 ms)
        chunker = nltk.chunk.ne_chunker(fmt="binary")
        return [
            any(
                isinstance(node, nltk.Tree)
                for node in chunker.parse(tagger.tag(nltk.word_tokenize(title, preserve_line=True)))
            )
            for title in titles
        ]
    except LookupError as error:
        if type(error) is not LookupError:  # KeyError and IndexError would be bugs, not lacks
            raise
        return None


def english_words() -> frozenset[str] | None:
    """The words of NLTK's `words` corpus in lower case, or None where the package is absent."""
    import nltk

    try:
        lists = [
            nltk.data.load(f"corpora/words/{name}", format="raw", cache=False)
            for name in ("en", "en-basic")
        ]
    except LookupError:
        return None
    return frozenset(b"\n".join(lists).decode("utf-8").lower().split())


def _plain_signs(raw: str) -> str:
    """Entities resolved, quotes and dashes in ASCII, letters composed, the letter case kept."""
    # Before NFKC, which would take an acute accent used as a quote for a combining mark.
    text = html.unescape(raw).translate(_SIGNS)
    text = unicodedata.normalize("NFKC", text).translate(_SIGNS)
    if text.isascii():
        return text
    kinds = ((sign, unicodedata.category(sign)) for sign in text)
    return "".join(
        sign if sign.isascii() or kind[0] in "LMN" else " "
        for sign, kind in kinds
        if kind != "Cf"  # soft hyphens and joiners stand inside words
    )


def _without_asides(text: str) -> str:
    """The text without its bracketed asides; brackets that open the text keep their words."""
    text = _BEFORE_FIRST_WORD.sub("", text)
    while (shorter := _ASIDE.sub(" ", text)) != text:  # innermost first
        text = shorter
    return text


def _words(text: str) -> list[str]:
    text = _THOUSANDS.sub("", text)
    text = _INSIDE_WORD.sub(lambda match: "-" if match[0] == "=" else "", text)
    lowered = unicodedata.normalize("NFKC", text.lower())
    apart = " ".join(_WORD.findall(_CLITIC.sub("", lowered)))
    return _NOT.sub("", apart).split()
