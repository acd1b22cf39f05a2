"""Why a picture did not come, in a few words that stay the same whoever says it."""

import re
from enum import StrEnum


class Reason(StrEnum):
    """One cause of a missing picture."""

    UNAUTHORISED = "401 unauthorised"
    FORBIDDEN = "403 forbidden"
    NOT_FOUND = "404 not found"
    GONE = "410 gone"
    TOO_MANY = "429 too many requests"
    CLIENT_ERROR = "client error 4xx"
    SERVER_ERROR = "server error 5xx"
    NO_NAME = "name not resolved"
    NO_CONNECTION = "no connection"
    PRIVATE = "private address"
    TLS = "TLS"
    TIMEOUT = "timeout"
    RESET = "connection reset"
    REDIRECTS = "redirect loop"
    NOT_HTTP = "not HTTP"  # another scheme, or an answer in another language
    ROBOTS = "robots tag"  # the server forbids this use in X-Robots-Tag
    EMPTY = "empty"
    CUT_SHORT = "cut short"
    NOT_A_PICTURE = "not a picture"
    TOO_SMALL = "too small"
    TOO_LARGE = "too large"
    OTHER = "other"

    @classmethod
    def of_status(cls, status: int) -> "Reason":
        """The reason for an HTTP status that brings no picture."""
        named = {
            204: cls.EMPTY,
            401: cls.UNAUTHORISED,
            403: cls.FORBIDDEN,
            404: cls.NOT_FOUND,
            408: cls.TIMEOUT,
            410: cls.GONE,
            429: cls.TOO_MANY,
        }
        groups = {3: cls.REDIRECTS, 4: cls.CLIENT_ERROR, 5: cls.SERVER_ERROR}
        return named.get(status) or groups.get(status // 100, cls.NOT_A_PICTURE)

    @classmethod
    def of_message(cls, message: str) -> "Reason":
        """The reason in a message of this library, img2dataset, urllib or OpenCV."""
        bare = re.sub(r" \(\d{3}\)$", "", message)
        for known in cls:
            if bare == known.value:
                return known
        status = re.match(r"HTTP Error (\d{3})", bare)
        # urllib says "HTTP Error 302: ... would lead to an infinite loop" and the like
        if status:
            return cls.of_status(int(status[1]))
        for pattern, found in _PATTERNS:
            if re.search(pattern, bare, re.IGNORECASE):
                return found
        return cls.OTHER


TEMPORARY = frozenset(
    {
        Reason.TOO_MANY,
        Reason.SERVER_ERROR,
        Reason.NO_NAME,
        Reason.NO_CONNECTION,
        Reason.TIMEOUT,
        Reason.RESET,
        Reason.CUT_SHORT,
    }
)  # another try may help

# The first that is found decides: "SSL: handshake timed out" is a timeout.
_PATTERNS = [
    (r"too small", Reason.TOO_SMALL),
    (r"too large|IMAGE_PIXELS|decompression bomb", Reason.TOO_LARGE),
    (r"X-Robots-Tag", Reason.ROBOTS),
    (r"timed? ?out", Reason.TIMEOUT),
    (r"IncompleteRead|truncated", Reason.CUT_SHORT),
    (r"SSL|certificate", Reason.TLS),
    (r"Errno -\d|getaddrinfo|not known|resolution", Reason.NO_NAME),
    (r"reset by peer|closed connection|broken pipe", Reason.RESET),
    (r"refused|unreachable|no route", Reason.NO_CONNECTION),
    (r"buf\.empty|empty file", Reason.EMPTY),
    (r"decod|cannot identify|OpenCV", Reason.NOT_A_PICTURE),
    (
        r"unknown url type|can't contain control|can't encode|nonnumeric port|no host",
        Reason.NOT_HTTP,
    ),
]
