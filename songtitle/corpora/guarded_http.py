"""Why a picture did not come, in a few words that stay the same whoever says it."""

import http.client
import io
import ipaddress
import re
import socket
import ssl
import time
from collections.abc import Collection
from dataclasses import dataclass
from email.message import Message
from enum import StrEnum
from functools import cache
from typing import Any, NamedTuple, cast
from urllib.parse import quote, urljoin, urlsplit


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


USER_AGENT = "songtitle/0.1 (research on captions)"
REDIRECT = (301, 302, 303, 307, 308)


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What one picture may cost and where it may come from."""

    timeout: float = 20.0  # seconds for all of it: names, redirects and body
    max_bytes: int = 50_000_000  # of the body; read no further
    max_redirects: int = 5
    allow_private: Collection[str] = ()  # "host:port" of peers that need not be on the internet


class Answer(NamedTuple):
    """What a final address gave."""

    body: bytes
    headers: Message


class NotFetchedError(Exception):
    """There is no picture to be had; its text is the reason and, in brackets, the status."""

    def __init__(self, reason: Reason, status: int | None = None) -> None:
        super().__init__(f"{reason} ({status})" if status else reason)
        self.reason = reason
        self.status = status  # of HTTP, where there was an answer


def get(url: str, limits: Limits) -> Answer:
    """The body at `url`, redirects followed. Raises NotFetchedError and nothing else."""
    status: int | None = None
    deadline = time.monotonic() + limits.timeout
    try:
        for _ in range(limits.max_redirects + 1):
            with _socket(url, limits, deadline) as sock:
                connection = _connection(url, _Checked(sock, deadline))
                connection.request("GET", _target(url), headers=_headers())
                response = connection.getresponse()
                status = response.status
                location = response.getheader("Location")
                if status in REDIRECT and location:
                    url = urljoin(url, _as_text(location))
                    continue
                if status != 200:
                    raise NotFetchedError(Reason.of_status(status), status)
                return Answer(_body(response, limits.max_bytes), response.headers)
    except http.client.IncompleteRead:
        raise NotFetchedError(Reason.CUT_SHORT, 200) from None
    except ConnectionError:  # http.client.RemoteDisconnected is one too
        raise NotFetchedError(Reason.RESET) from None
    except TimeoutError:
        raise NotFetchedError(Reason.TIMEOUT) from None
    except ssl.SSLError:
        raise NotFetchedError(Reason.TLS) from None
    except socket.gaierror:
        raise NotFetchedError(Reason.NO_NAME) from None
    except OSError:
        raise NotFetchedError(Reason.NO_CONNECTION) from None
    except (http.client.HTTPException, ValueError):  # ValueError: what urlsplit and IDNA refuse
        raise NotFetchedError(Reason.NOT_HTTP) from None
    raise NotFetchedError(Reason.REDIRECTS, status)


def is_public(address: str) -> bool:
    """Whether an IP address is a unicast one of the public internet.

    An IPv6 address that carries an IPv4 one (mapped, 6to4 or NAT64) is judged by both. Of the
    others only those that IANA gives out (2000::/3) count: `is_global` also holds of obsolete ways
    to carry one, such as ::127.0.0.1, and of sites' own ranges.
    """
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour
        if ip in ipaddress.ip_network("64:ff9b::/96"):  # RFC 6052
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is not None and not is_public(str(inner)):
            return False
        if ip.ipv4_mapped:
            return True
        if inner is None and ip not in ipaddress.ip_network("2000::/3"):
            return False
    return ip.is_global and not ip.is_multicast


class _Checked:
    """A connected socket whose every step ends before the deadline of the whole picture."""

    def __init__(self, sock: socket.socket, deadline: float) -> None:
        self._sock, self._deadline = sock, deadline

    def _wait_at_most(self) -> None:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._sock.settimeout(left)

    def sendall(self, data: bytes) -> None:
        self._wait_at_most()
        self._sock.sendall(data)

    def recv_into(self, buffer: Any) -> int:
        self._wait_at_most()
        return self._sock.recv_into(buffer)

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Reader(self))

    def close(self) -> None:
        """Nothing: http.client closes before it reads the body; `get` closes the socket itself."""


class _Reader(io.RawIOBase):
    """The receiving half, as http.client wants to read it."""

    def __init__(self, sock: _Checked) -> None:
        super().__init__()
        self._sock = sock

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._sock.recv_into(buffer)


def _socket(url: str, limits: Limits, deadline: float) -> socket.socket:
    """A socket connected to the host of `url` at an address that was checked, in TLS for https."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise NotFetchedError(Reason.NOT_HTTP)
    host = parts.hostname.encode("idna").decode("ascii")
    secure = parts.scheme == "https"
    sock = _connect(host, parts.port or (443 if secure else 80), limits, deadline)
    if not secure:
        return sock
    try:
        sock.settimeout(max(deadline - time.monotonic(), 0.001))
        return _tls().wrap_socket(sock, server_hostname=host)
    except BaseException:
        sock.close()
        raise


def _connection(url: str, sock: "_Checked") -> http.client.HTTPConnection:
    """http.client's view of an open socket; it opens none itself."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    # Without the scheme's own port, as browsers do: some hosts know themselves by no other name.
    port = parts.port if parts.port != {"http": 80, "https": 443}[parts.scheme] else None
    host = parts.hostname.encode("idna").decode("ascii")
    connection = http.client.HTTPConnection(host, port)
    connection.auto_open = 0
    connection.sock = cast(socket.socket, sock)
    return connection


def _connect(host: str, port: int, limits: Limits, deadline: float) -> socket.socket:
    """A socket to the first address of `host` that may be asked and answers."""
    failure: Exception = NotFetchedError(Reason.NO_NAME)
    for family, kind, protocol, _, address in socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM
    ):
        if not _may_ask(str(address[0]), port, limits):
            failure = NotFetchedError(Reason.PRIVATE)
            continue
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        sock = socket.socket(family, kind, protocol)
        try:
            sock.settimeout(left)
            sock.connect(address)
            if not _may_ask(str(sock.getpeername()[0]), port, limits):
                raise NotFetchedError(Reason.PRIVATE)
        except (OSError, NotFetchedError) as error:
            sock.close()
            failure = error
        else:
            return sock
    raise failure


def _may_ask(address: str, port: int, limits: Limits) -> bool:
    return is_public(address) or f"{address}:{port}" in limits.allow_private


@cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()


def _headers() -> dict[str, str]:
    return {
        "User-Agent": USER_AGENT,
        "Accept": "image/*,*/*;q=0.5",
        "Accept-Encoding": "identity",
        "Connection": "close",
    }


def _target(url: str) -> str:
    """Path and query as they go over the wire: what is not allowed there is quoted."""
    parts = urlsplit(url)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return quote(target, safe="!#$%&'()*+,/:;=?@[]~")


def _as_text(header: str) -> str:
    """A header's text: http.client reads bytes as Latin-1, servers write UTF-8."""
    try:
        return header.encode("latin-1").decode("utf-8").strip()
    except UnicodeError:
        return header.strip()


def _body(response: http.client.HTTPResponse, most: int) -> bytes:
    announced = response.length
    if announced is not None and announced > most:
        raise NotFetchedError(Reason.TOO_LARGE, response.status)
    body = response.read(most + 1)
    if len(body) > most:
        raise NotFetchedError(Reason.TOO_LARGE, response.status)
    # read(n) gives what there is when the connection ends early; only read() would complain.
    if announced is not None and len(body) < announced:
        raise NotFetchedError(Reason.CUT_SHORT, response.status)
    if not body:
        raise NotFetchedError(Reason.EMPTY, response.status)
    return body
