"""Pictures asked for with care: no private address, no endless answer, one reason for each loss."""

import contextlib
import http.client
import ipaddress
import re
import socket
import ssl
import threading
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from email.message import Message
from enum import StrEnum
from functools import cache
from typing import NamedTuple
from urllib.parse import quote, urljoin, urlsplit

PORTS = {"http": 80, "https": 443}
REDIRECT = (301, 302, 303, 307, 308)
HEADERS = {
    "User-Agent": "songtitle/0.1 (research on captions)",
    "Accept": "image/*,*/*;q=0.5",
    "Accept-Encoding": "identity",
    "Connection": "close",
}


class Reason(StrEnum):
    """One cause of a missing picture, in words that stay the same whoever says it."""

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
        """The reason in a message of `NotFetchedError`, of img2dataset's resizer or of OpenCV."""
        bare = re.sub(r" \(\d{3}\)$", "", message)
        if bare in set(cls):
            return cls(bare)
        found = (reason for pattern, reason in _PATTERNS if re.search(pattern, bare))
        return next(found, cls.OTHER)


_PATTERNS = [  # the first that is found decides
    ("too small", Reason.TOO_SMALL),
    ("too large|IMAGE_PIXELS", Reason.TOO_LARGE),
    (r"buf\.empty", Reason.EMPTY),
    ("decod|OpenCV", Reason.NOT_A_PICTURE),
]
TEMPORARY = {  # another try may help
    Reason.TOO_MANY,
    Reason.SERVER_ERROR,
    Reason.NO_NAME,
    Reason.NO_CONNECTION,
    Reason.TIMEOUT,
    Reason.RESET,
    Reason.CUT_SHORT,
}
_FAULTS: list[tuple[type[Exception], Reason]] = [  # the first of which an exception is one
    (http.client.IncompleteRead, Reason.CUT_SHORT),
    (ConnectionError, Reason.RESET),  # http.client.RemoteDisconnected is one too
    (TimeoutError, Reason.TIMEOUT),
    (ssl.SSLError, Reason.TLS),
    (socket.gaierror, Reason.NO_NAME),
    (OSError, Reason.NO_CONNECTION),
    (http.client.HTTPException, Reason.NOT_HTTP),
    (ValueError, Reason.NOT_HTTP),  # what urlsplit and IDNA refuse
]


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What one picture may cost, where it may come from and what it must be."""

    timeout: float = 20.0  # seconds for one try: names, redirects and body
    retries: int = 1  # where another try may help
    max_bytes: int = 50_000_000  # of the body; read no further
    max_pixels: int = 50_000_000
    min_side: int = 401  # pixels; the paper's have "both dimensions ... greater than 400"
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


def get(url: str, limits: Limits) -> Answer:
    """Ask for the body at `url` and follow redirects. Raises NotFetchedError and nothing else."""
    deadline = time.monotonic() + limits.timeout
    try:
        for _ in range(limits.max_redirects + 1):
            with _answer(url, limits, deadline) as response:
                status, location = response.status, response.getheader("Location")
                if status in REDIRECT and location:
                    url = urljoin(url, _as_text(location))
                    continue
                if status != 200:
                    raise NotFetchedError(Reason.of_status(status), status)
                body = _body(response, limits.max_bytes)
                if time.monotonic() >= deadline:  # then the end is ours, not the server's
                    raise TimeoutError
                return Answer(body, response.headers)
    except tuple(kind for kind, _ in _FAULTS) as error:
        late = time.monotonic() >= deadline
        found = next(reason for kind, reason in _FAULTS if isinstance(error, kind))
        reason = Reason.TIMEOUT if late else found
        raise NotFetchedError(reason, 200 if reason is Reason.CUT_SHORT else None) from None
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


@contextlib.contextmanager
def _answer(url: str, limits: Limits, deadline: float) -> Iterator[http.client.HTTPResponse]:
    """The answer to one request, over a socket to a checked address that ends at the deadline."""
    parts = urlsplit(url)
    if parts.scheme not in PORTS or not parts.hostname:
        raise NotFetchedError(Reason.NOT_HTTP)
    host = parts.hostname.encode("idna").decode("ascii")
    connection = http.client.HTTPConnection(host, parts.port or PORTS[parts.scheme])
    # Left out of the Host header, as browsers do: some hosts know themselves by no other name.
    connection.default_port = PORTS[parts.scheme]
    sock = _connect(host, connection.port, limits, deadline)
    if parts.scheme == "https":
        sock = _tls().wrap_socket(sock, server_hostname=host, do_handshake_on_connect=False)
    # A socket's own timeout begins anew with every byte.
    watch = threading.Timer(max(deadline - time.monotonic(), 0), _shut, [sock])
    watch.daemon = True
    watch.start()
    try:
        if isinstance(sock, ssl.SSLSocket):
            sock.do_handshake()
        connection.sock = sock
        connection.request("GET", _target(url), headers=HEADERS)
        with connection.getresponse() as response:
            yield response
    finally:
        watch.cancel()
        sock.close()


def _shut(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):
        socket.socket.shutdown(sock, socket.SHUT_RDWR)  # SSLSocket's own would forget the TLS


def _connect(host: str, port: int, limits: Limits, deadline: float) -> socket.socket:
    """A socket to the first address of `host` that may be asked and answers."""

    def check(address: object) -> None:
        if not (is_public(str(address)) or f"{address}:{port}" in limits.allow_private):
            raise NotFetchedError(Reason.PRIVATE)

    failure: Exception = NotFetchedError(Reason.NO_NAME)
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    for family, kind, protocol, _, address in found:
        sock = None
        try:
            check(address[0])
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError
            sock = socket.socket(family, kind, protocol)
            sock.settimeout(left)
            sock.connect(address)
            check(sock.getpeername()[0])
            return sock
        except (OSError, NotFetchedError) as error:
            failure = error
            if sock is not None:
                sock.close()
    raise failure


@cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()


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
        raise NotFetchedError(Reason.TOO_LARGE, 200)
    body = response.read(most + 1)
    if len(body) > most:
        raise NotFetchedError(Reason.TOO_LARGE, 200)
    # read(n) gives what there is when the connection ends early; only read() would complain.
    if announced is not None and len(body) < announced:
        raise http.client.IncompleteRead(body)
    if not body:
        raise NotFetchedError(Reason.EMPTY, 200)
    return body
