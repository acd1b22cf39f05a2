"""Titles and captions made plain: lower case, words apart by one space, no stray punctuation.

A clean text holds words of letters and digits with inner hyphens, apostrophes and decimal points
("over-watch", "don't", "1.5"), single spaces between them, nothing else; cleaning it again changes
nothing. The rules are those that real titles asked for; `tests/test_text.py` holds the table.
"""

import html
import re
import unicodedata
from collections.abc import Callable
from typing import Literal

Punctuation = Literal["inner", "strip", "keep"]
Letters = Literal["keep", "fold", "drop"]
Asides = Literal["drop", "keep"]
Article = Literal["front", "keep"]
Numerals = Literal["keep", "drop"]

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
_BRACKET = re.compile(r"([()\[\]{}])")
_NUMBERING = re.compile(r"^\d{1,2}([.)]|\s+-+)\s+(?=[^\W\d])")
_LAST_ARTICLE = re.compile(r",\s*(the|a|an|na)\W*$", re.IGNORECASE)
_FEATURING = frozenset({"feat", "ft", "featuring"})

_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
_CLITIC = re.compile(r"(?<=[A-Za-z0-9])\s+(?='(?i:s|re|ve|ll|d|m)\b)")  # "a man 's" is "a man's"
_NOT = re.compile(r"(?<=[A-Za-z]) (?=[Nn]'[Tt](?: |$))")  # "do n't" is "don't"
_INSIDE_WORD = re.compile(
    r"(?<=[^\W\d])[.*$]+(?=[^\W\d])"  # U.S.A., M*A*S*H
    r"|(?<=[a-z]):(?=[a-z])|(?<=[A-Z]):(?=[A-Z])"  # a scanner's "Pat:terson"; not "Mercy:The"
    r"|(?<=[A-Za-z])=(?=[A-Za-z])"  # an old printer's hyphen
)
_UNIT = r"(?:\d+(?:\.\d+)+|[0-9A-Za-z\x80-\U0010ffff]+)"
_WORD = re.compile(rf"{_UNIT}(?:['-]{_UNIT})*")
_ASCII_SIGN = re.compile(r"[^\w\s\x80-\U0010ffff]|_")
_ACCENT = re.compile("(?<=[A-Za-z])[\u0300-\u036f]+")
# Latin letters that Unicode does not take apart, as they are mostly written without their key.
_FOLDED = str.maketrans(
    {"ø": "o", "Ø": "O", "ł": "l", "Ł": "L", "đ": "d", "Đ": "D", "ð": "d", "Ð": "D", "ħ": "h"}
    | {"Ħ": "H", "ı": "i", "æ": "ae", "Æ": "AE", "œ": "oe", "Œ": "OE", "þ": "th", "Þ": "Th"}
    | {"ß": "ss", "ẞ": "SS"}
)


def clean_title(raw: str) -> str:
    """The words of a song title in lower case, as a listener would say them.

    On top of what `clean_caption` does, a trailing article returns to the front ("Garden of
    Daisies, The"), track numbers ("01 Whales", "13. Dis"), file endings and whatever follows
    "feat.", "ft." or "featuring" go. `clean_title(clean_title(x)) == clean_title(x)`. A title
    without a letter or digit gives the empty string.
    """
    for step in title_steps().values():
        raw = step(raw)
    return raw


def title_steps(
    *,
    letters: Letters = "keep",
    asides: Asides = "drop",
    article: Article = "front",
    punctuation: Punctuation = "inner",
    lowercase: bool = True,
    numerals: Numerals = "keep",
) -> dict[str, Callable[[str], str]]:
    """The steps of cleaning a title by name, in order; left at their defaults, of `clean_title`.

    `letters` "fold" takes accents off Latin letters, "drop" removes those of other scripts too;
    `asides` are brackets, track numbers, file endings and guests; `punctuation` stays "inner"
    words alone, goes wholly ("strip": "don't" becomes "dont"), or stays as it is ("keep": words
    are what stands between spaces); `numerals` are words with a digit and no letter.
    """
    steps: dict[str, Callable[[str], str]] = {}
    if punctuation != "keep":
        steps["signs"] = _plain_signs
    if letters != "keep":
        steps["letters"] = _fold if letters == "fold" else _latin_only
    if asides == "drop":
        steps["asides"] = _without_file_marks
    if article == "front":
        steps["article"] = _article_first
    steps["punctuation"] = {"inner": _inner, "strip": _strip, "keep": _spaced}[punctuation]
    if lowercase:
        steps["lowercase"] = str.lower if punctuation == "keep" else _lower
    if asides == "drop":
        steps["guests"] = _without_guests
    if numerals == "drop":
        steps["numerals"] = _without_numerals
    return steps


def clean_caption(raw: str) -> str:
    """The words of a caption in lower case: "A great blue heron." -> "a great blue heron".

    Quotes and dashes become ASCII, "&" becomes "and", a bracketed aside after the first word goes,
    and of the punctuation only that inside words stays. Letters of other scripts and accents stay.
    `clean_caption(clean_caption(x)) == clean_caption(x)`.
    """
    return _lower(_inner(_without_asides(_plain_signs(raw))))


def tokenize(text: str) -> list[str]:
    """The words of a clean text, in order; on text that is not clean, punctuation is left out.

    `" ".join(tokenize(clean_title(x))) == clean_title(x)`, and the same for captions.
    """
    return _WORD.findall(text)


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


def _fold(text: str) -> str:
    """Latin letters without their accents ("Búsqueda" -> "Busqueda"); other scripts stay."""
    if text.isascii():
        return text
    apart = unicodedata.normalize("NFD", text).translate(_FOLDED)
    return unicodedata.normalize("NFC", _ACCENT.sub("", apart))


def _latin_only(text: str) -> str:
    """Folded, and without letters, marks and digits of other scripts than Latin."""
    if text.isascii():
        return text
    return "".join(
        sign
        for sign in _fold(text)
        if sign.isascii()
        or unicodedata.category(sign)[0] not in "LMN"
        or unicodedata.name(sign, "").startswith("LATIN")
    )


def _without_file_marks(text: str) -> str:
    """Without a file ending, asides in brackets, and a track number before the first word."""
    return _NUMBERING.sub("", _without_asides(_FILE_ENDING.sub("", text)))


def _without_asides(text: str) -> str:
    """The text without its bracketed asides; brackets that open the text keep their words."""
    kept: list[str] = []
    opened: list[int] = []  # where in `kept` each open bracket stands
    for piece in _BRACKET.split(_BEFORE_FIRST_WORD.sub("", text)):
        if piece in ("(", "[", "{"):
            opened.append(len(kept))
        if piece in (")", "]", "}") and opened:  # any kind closes any: titles mix them up
            del kept[opened.pop() :]
            piece = " "
        kept.append(piece)
    return "".join(kept)


def _article_first(text: str) -> str:
    """ "Garden of Daisies, The" as "The Garden of Daisies"."""
    match = _LAST_ARTICLE.search(text)
    if match is None or not any(sign.isalnum() for sign in text[: match.start()]):
        return text
    return f"{match[1]} {text[: match.start()]}"


def _inner(text: str) -> str:
    """The words, one space apart, with the punctuation inside them alone; the letter case kept."""
    text = _THOUSANDS.sub("", text)
    text = _INSIDE_WORD.sub(lambda match: "-" if match[0] == "=" else "", text)
    text = unicodedata.normalize("NFKC", text)
    return _NOT.sub("", " ".join(_WORD.findall(_CLITIC.sub("", text))))


def _strip(text: str) -> str:
    """The words, one space apart, without any punctuation: "don't" -> "dont"."""
    return _spaced(unicodedata.normalize("NFKC", _ASCII_SIGN.sub("", text)))


def _spaced(text: str) -> str:
    """One space between words, whatever they hold."""
    return " ".join(text.split())


def _lower(text: str) -> str:
    """In lower case, letters composed."""
    return unicodedata.normalize("NFKC", text.lower())


def _without_guests(text: str) -> str:
    """Without what follows "feat." or its like, and without a track number such as "05"."""
    words = text.split()
    while len(words) > 1 and re.fullmatch("0[0-9]", words[0]):
        del words[0]
    for i in range(1, len(words) - 1):
        if words[i].lower().rstrip(".") in _FEATURING:
            return " ".join(words[:i])
    return " ".join(words)


def _without_numerals(text: str) -> str:
    """Without words that have a digit and no letter: "24-25", "89.9", "1958"; "2nd" stays."""
    words = [w for w in text.split() if re.search(r"[^\W\d_]", w) or not re.search(r"\d", w)]
    return _NOT.sub("", " ".join(words))  # "do 5 n't" has come together
