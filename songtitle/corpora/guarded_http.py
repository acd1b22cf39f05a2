"""The web asked with care: a picture with no endless answer, a file that goes on where it was cut,
and neither from a private address."""

import contextlib
import http.client
import ipaddress
import json
import os
import re
import socket
import ssl
import threading
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from email.message import Message
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import quote, urljoin, urlsplit

import requests
from urllib3.exceptions import HTTPError
from urllib3.util import Retry

from songtitle import __version__
from songtitle.corpora.manifest import ADDRESS, EXPECTED, LOCAL, check_room
from songtitle.machine import write_whole

PORTS = {"http": 80, "https": 443}
REDIRECT = (301, 302, 303, 307, 308)
AGENT = {"User-Agent": f"songtitle/{__version__} (research on captions)"}
PLAIN = {"Accept-Encoding": "identity"} | AGENT
BLOCK = 1 << 18  # bytes of a file at most that a cut can lose
HEAD = 512  # bytes looked at for a web page
HOPS = 10  # redirects followed to a file
SHOWN = 200  # letters at most of what a server says that a message repeats
NUMBER = "[0-9]{1,18}"  # in a header; `isdigit` and `int` disagree on some others
AGAIN = {408, 425, 429, 500, 502, 503, 504}  # what a server may say and mean "later"


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
        named = {int(reason[:3]): reason for reason in cls if reason[:3].isdigit()}
        named |= {204: cls.EMPTY, 408: cls.TIMEOUT}
        groups = {3: cls.REDIRECTS, 4: cls.CLIENT_ERROR, 5: cls.SERVER_ERROR}
        return named.get(status) or groups.get(status // 100, cls.NOT_A_PICTURE)


TEMPORARY = {  # another try may help
    *(Reason.TOO_MANY, Reason.SERVER_ERROR, Reason.NO_NAME, Reason.NO_CONNECTION),
    *(Reason.TIMEOUT, Reason.RESET, Reason.CUT_SHORT),
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


def is_public(address: str) -> bool:
    """Whether an IP address is a unicast one of the public internet.

    An IPv6 address that carries an IPv4 one (mapped, 6to4 or NAT64) is judged by both. Of the
    others only those that IANA gives out (2000::/3) count: `is_global` also holds of obsolete ways
    to carry one, such as ::127.0.0.1, and of sites' own ranges.
    """
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        nat64 = ip in ipaddress.ip_network("64:ff9b::/96")  # RFC 6052
        last = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        inner = ip.ipv4_mapped or ip.sixtofour or (last if nat64 else None)
        if not is_public(str(inner)) if inner else ip not in ipaddress.ip_network("2000::/3"):
            return False
        if ip.ipv4_mapped:
            return True
    return ip.is_global and not ip.is_multicast


# -- a picture ------------------------------------------------------------------------------------


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


class NotFetchedError(Exception):
    """There is no picture to be had; its text is the reason and, in brackets, the status."""

    def __init__(self, reason: Reason, status: int | None = None) -> None:
        super().__init__(f"{reason} ({status})" if status else reason)
        self.reason, self.status = reason, status


def get(url: str, limits: Limits) -> tuple[bytes, Message]:
    """Ask for body and headers at `url`, through redirects. Raises NotFetchedError alone."""
    deadline = time.monotonic() + limits.timeout
    try:
        for _ in range(limits.max_redirects + 1):
            with _answer(url, limits, deadline) as response:
                status, location = response.status, response.getheader("Location")
                if status in REDIRECT and location:
                    # http.client reads bytes as Latin-1, servers write UTF-8.
                    with contextlib.suppress(UnicodeError):
                        location = location.encode("latin-1").decode("utf-8")
                    url = urljoin(url, location.strip())
                    continue
                if status != 200:
                    raise NotFetchedError(Reason.of_status(status), status)
                body = _body(response, limits.max_bytes)
                if time.monotonic() >= deadline:  # then the end is ours, not the server's
                    raise TimeoutError
                return body, response.headers
    except tuple(kind for kind, _ in _FAULTS) as error:
        late = time.monotonic() >= deadline
        found = next(reason for kind, reason in _FAULTS if isinstance(error, kind))
        reason = Reason.TIMEOUT if late else found
        raise NotFetchedError(reason, 200 if reason is Reason.CUT_SHORT else None) from None
    raise NotFetchedError(Reason.REDIRECTS, status)


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
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        target = quote(target, safe="!#$%&'()*+,/:;=?@[]~")
        headers = {"Accept": "image/*,*/*;q=0.5", "Connection": "close"} | PLAIN
        connection.request("GET", target, headers=headers)
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
    failure: Exception = NotFetchedError(Reason.NO_NAME)
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    for family, kind, protocol, _, address in found:
        if not (is_public(str(address[0])) or f"{address[0]}:{port}" in limits.allow_private):
            failure = NotFetchedError(Reason.PRIVATE)
            continue
        sock = socket.socket(family, kind, protocol)
        try:
            sock.settimeout(max(deadline - time.monotonic(), 0.001))
            sock.connect(address)
            return sock
        except OSError as error:
            failure = error
            sock.close()
    raise failure


@cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()


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


# -- a file ---------------------------------------------------------------------------------------
# A transfer goes on where its file ends (RFC 9110, section 14: Range and If-Range), or begins anew
# at a server that cannot. The loops are ours: urllib3's `Retry` begins a body anew, and requests
# reads what a redirect carries, however long, and follows it into a private network.


@dataclass(frozen=True, kw_only=True)
class TransferConfig:
    """How long to insist."""

    tries: int = 6  # in a row, none of which brought a block
    first_wait: float = 1.0  # seconds before the second try, doubled before each further one
    longest_wait: float = 120.0  # seconds; a server that asks for more is left
    timeout: float = 30.0  # seconds without a byte


class Refused(Exception):
    """This address will not give the file; says why in a few words."""


class Stopped(Exception):
    """The caller asked to stop; the part file stays."""


class _Again(Refused):
    """A fault that may pass; `wait` in seconds is the server's own wish."""

    wait: float | None = None


def _refuse(
    reason: str, part: Path | None = None, *, again: bool = False, wait: float | None = None
) -> NoReturn:
    """Raise Refused, or _Again; a `part` is thrown away."""
    if part:
        discard(part)
    if not again:
        raise Refused(reason)
    fault = _Again(reason)
    fault.wait = wait
    raise fault


class _Session(requests.Session):
    """Takes no answer for a redirect: requests would read its body, however long, and its address,
    though it may be none."""

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        return None


@dataclass(kw_only=True)
class Transfer:
    """Downloads an address to a file, going on where the file ends.

    Whatever comes is compared with `size` (bytes; None when unknown). `checked` says that the
    caller compares a checksum afterwards: only then may a file begin at one address and end at
    another, or go on at a server that cannot say whether its file has changed. `bar` shows the
    position; `stop` ends the transfer when it is set.
    """

    size: int | None = None
    checked: bool = False
    config: TransferConfig = field(default_factory=TransferConfig)
    bar: Any = None  # of tqdm
    stop: threading.Event = field(default_factory=threading.Event)

    def __call__(self, url: str, part: Path) -> None:
        """Fetch `url` into `part`, whose length says what is there already.

        Raises Refused when the address gives no such file or too many tries failed, Stopped when
        `stop` was set, and OSError when the disk is full. The file stays for another address or
        another day, unless its content was refused.
        """
        faults, farthest = 0, length(part)
        while True:
            try:
                return self._attempt(url, part)
            except _Again as fault:
                # Only new ground counts: a server that can be heard to the same byte again and
                # again would otherwise be heard for ever.
                if length(part) - farthest >= BLOCK:
                    faults, farthest = 0, length(part)
                wait = min(self.config.first_wait * 2**faults, self.config.longest_wait)
                wait = wait if fault.wait is None else fault.wait
                faults += 1
                if faults >= self.config.tries:
                    raise
                if wait > self.config.longest_wait:
                    _refuse(f"{fault}, asks to wait {wait:,.0f} s")
                if self.stop.wait(wait):
                    raise Stopped from None

    def _attempt(self, url: str, part: Path) -> None:
        origin = {}
        with contextlib.suppress(OSError, ValueError, TypeError):
            origin = dict(json.loads(_origin(part).read_text(encoding="utf-8")))
        validator = origin.get("validator") if origin.get("address") == url else None
        start, total = length(part), self.size or origin.get("total")
        if not (validator or self.checked) or (total and start > total):
            start = 0
        if start and start == total:
            return
        headers = dict(PLAIN)
        if start:
            headers |= {"Range": f"bytes={start}-"} | ({"If-Range": validator} if validator else {})
        with _Session() as session:
            try:
                response = self._open(session, url, headers)
            except (requests.RequestException, HTTPError) as error:
                forged = any(isinstance(e, ssl.SSLCertVerificationError) for e in _chain(error))
                _refuse(_reason(error), again=not forged)
            with response:
                start, total = self._agree(response, part, start, total)
                _refuse_web_page(part, response.headers.get("Content-Type", ""))
                check_room(part.parent, (total or 0) - start, part.name[1:].removesuffix(".part"))
                if not start:
                    part.unlink(missing_ok=True)
                # A weak ETag must not put parts together (RFC 9110, section 13.1.5).
                tag = response.headers.get("ETag", "")
                validator = tag if tag.startswith('"') else response.headers.get("Last-Modified")
                if validator and not validator.isprintable():  # could not be sent back
                    validator = None
                origin = {"address": url, "validator": validator, "total": total}
                write_whole(_origin(part), json.dumps(origin))
                self._receive(response.raw, part, start, total)

    def _open(self, session: requests.Session, url: str, headers: Any) -> requests.Response:
        """The response at the end of all redirects, none of them to where they must not lead."""
        here = re.match(rf"https?://{LOCAL}([/?#]|$)", url)
        for _ in range(HOPS):
            if not re.match(ADDRESS, url, re.IGNORECASE):
                _refuse(f"{url[:SHOWN]!r} is not {EXPECTED[ADDRESS]}")
            # As it will be sent: letters and digits of other scripts have become plain ones.
            url = requests.Request("GET", url).prepare().url or url
            host = urlsplit(url).hostname or ""
            if not here and _is_private(host):
                _refuse(f"redirected to the private address {host}")
            limits: Any = {"timeout": self.config.timeout, "stream": True}
            response = session.get(url, headers=headers, allow_redirects=False, **limits)
            if not response.is_redirect:
                return response
            response.close()
            location = response.headers["Location"]
            try:
                url = urljoin(url, location)
            except ValueError:
                _refuse(f"redirected to {location[:SHOWN]!r}, which is no address")
        _refuse(f"more than {HOPS} redirects")

    def _agree(
        self, response: requests.Response, part: Path, start: int, total: int | None
    ) -> tuple[int, int | None]:
        """Where the body starts and how long the whole file is, from status and headers."""
        status, headers = response.status_code, response.headers
        packing = headers.get("Content-Encoding", "identity")
        whole: int | None
        if status == 206:
            form = rf"bytes ({NUMBER})-{NUMBER}/({NUMBER}|\*)"
            found = re.fullmatch(form, headers.get("Content-Range", ""))
            whole = int(found[2]) if found and found[2] != "*" else total
            if not found or int(found[1]) != start or whole is None:
                _refuse("another part than asked for", part, again=True)
        elif status == 200:
            start, said = 0, headers.get("Content-Length", "")
            whole = int(said) if re.fullmatch(NUMBER, said) else None
            ends = whole is not None or "chunked" in headers.get("Transfer-Encoding", "")
            if not (ends or self.size or self.checked):
                _refuse("no length given, so that a cut could not be told from the end")
        elif status == 416 and start:
            _refuse("another file than before", part, again=True, wait=0.0)
        else:
            # In the standard's words: a server's own may be long, or move a terminal's cursor.
            said = f"{status} {http.client.responses.get(status, 'of no standard')}"
            wish = _retry_after(headers.get("Retry-After", ""))
            _refuse(said, again=status in AGAIN, wait=wish)
        # Of a packed file it may mean the file.
        if packing != "identity" and not part.name.endswith((".gz.part", ".tgz.part")):
            _refuse(f"packed as {packing[:SHOWN]!r} though not asked for")
        if whole is not None and self.size not in (None, whole):
            _refuse(f"wrong length, {whole:,} bytes for {self.size:,}")
        if start and total and whole != total:
            _refuse("another file than before", part, again=True, wait=0.0)
        return start, self.size if whole is None else whole

    def _receive(self, raw: Any, part: Path, start: int, total: int | None) -> None:
        """Append the body to the part file, each piece as it comes, and look at its head."""
        position, looked = start, start >= HEAD
        with part.open("ab", buffering=0) as out:
            while True:
                if self.bar is not None:
                    self.bar.total = total
                    self.bar.update(position - self.bar.n)
                if self.stop.is_set():
                    raise Stopped
                try:
                    # What has come so far, not a full block: a cut then loses next to nothing.
                    block = raw.read1(BLOCK, decode_content=False)
                except (HTTPError, OSError) as error:
                    raise _Again(_reason(error)) from error
                if not block:
                    break
                _write(out, block)
                position += len(block)
                if not looked and position >= HEAD:
                    looked = True
                    _refuse_web_page(part)
                if total is not None and position > total:
                    _refuse(f"wrong length, more than {total:,} bytes", part)
            os.fsync(out.fileno())
        _refuse_web_page(part)
        if total is not None and position < total:
            if raw.chunked:  # a last piece that says so was read: this is all there is
                _refuse(f"wrong length, {position:,} bytes for {total:,}", part)
            _refuse(f"cut after {position:,} of {total:,} bytes", again=True)


def length(part: Path) -> int:
    """The bytes of a file; 0 when it is not there."""
    return part.stat().st_size if part.is_file() else 0


def discard(part: Path) -> None:
    """Remove a part file and what is known of it."""
    part.unlink(missing_ok=True)
    _origin(part).unlink(missing_ok=True)


def _origin(part: Path) -> Path:
    """Where a part file comes from: JSON with `address`, `validator` and `total`."""
    return part.with_name(f"{part.name}.json")


def _write(out: Any, block: bytes) -> None:
    view = memoryview(block)
    while view:
        view = view[out.write(view) :]


def _refuse_web_page(part: Path, content_type: str = "") -> None:
    """Raise Refused where a login or error page comes instead of the data."""
    if part.name.endswith((".html.part", ".htm.part")):
        return
    page = content_type.split(";")[0].strip().lower() in ("text/html", "application/xhtml+xml")
    if not page and part.is_file():
        with part.open("rb") as file:
            head = file.read(HEAD).removeprefix(b"\xef\xbb\xbf").lstrip().lower()
        if page := head.startswith((b"<!doctype html", b"<html")):
            discard(part)
    if page:
        _refuse("a web page instead of the file")


def _is_private(host: str) -> bool:
    # By number only: what a name stands for is known to the proxy, where there is one.
    with contextlib.suppress(ValueError):
        return not is_public(host)
    try:  # 127.1, 0x7f000001 and 2130706433 are numbers to the system
        return not is_public(socket.inet_ntoa(socket.inet_aton(host)))
    except OSError:
        return f".{host.removesuffix('.')}".endswith(".localhost")


def _retry_after(value: str) -> float | None:
    """Seconds to wait, from a number of seconds or a date (RFC 9110, section 10.2.3)."""
    try:
        return float(Retry().parse_retry_after(value))
    except (HTTPError, ValueError, OverflowError):
        return None


def _reason(error: Exception) -> str:
    """A few words for what went wrong on the way: the error at the bottom has the fewest."""
    names = {"ReadTimeoutError": "no byte for too long", "IncompleteRead": "cut"}
    *_, inner = _chain(error)
    known = names.get(type(error).__name__) or names.get(type(inner).__name__)
    said = getattr(inner, "verify_message", None) or getattr(inner, "strerror", None)
    return known or said or type(inner).__name__


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An error, what it came from, and so on down."""
    inner: BaseException | None = error
    while inner:
        yield inner
        inner = inner.__cause__ or inner.__context__
