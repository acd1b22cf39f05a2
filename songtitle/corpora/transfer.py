"""One file over HTTP, through cuts, stalls and refusals; what has come is not asked for again.

A transfer goes on where its file ends (RFC 9110, section 14: Range and If-Range), or begins anew at
a server that cannot. The loops are ours: urllib3's `Retry` begins a body anew, and requests reads
what a redirect carries, however long, and follows it into a private network.
"""

import json
import os
import re
import socket
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urljoin, urlsplit

import requests
from urllib3.exceptions import HTTPError
from urllib3.util import Retry

from songtitle import __version__
from songtitle.corpora.archives import check_room
from songtitle.corpora.guarded_http import is_public
from songtitle.corpora.sources import check_address, is_local
from songtitle.machine import write_whole

BLOCK = 1 << 18  # bytes at most that a cut can lose
HEAD = 512  # bytes looked at for a web page
HOPS = 10  # redirects followed
SHOWN = 200  # letters at most of what a server says that a message repeats
NUMBER = "[0-9]{1,18}"  # in a header; `isdigit` and `int` disagree on some others
AGAIN = {408, 425, 429, 500, 502, 503, 504}  # what a server may say and mean "later"


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


def _refuse(reason: str, part: Path | None = None) -> NoReturn:
    """Raise Refused; a `part` is thrown away."""
    if part:
        discard(part)
    raise Refused(reason)


def _ask_again(reason: str, part: Path | None = None, wait: float | None = None) -> NoReturn:
    """Raise _Again; a `part` is thrown away."""
    if part:
        discard(part)
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
        origin = _read_origin(part)
        validator = origin.get("validator") if origin.get("address") == url else None
        start, total = length(part), self.size or origin.get("total")
        if not (validator or self.checked) or (total and start > total):
            start = 0
        if start and start == total:
            return
        headers = {"Accept-Encoding": "identity", "User-Agent": f"songtitle/{__version__}"}
        if start:
            headers |= {"Range": f"bytes={start}-"} | ({"If-Range": validator} if validator else {})
        with _Session() as session:
            try:
                response = self._open(session, url, headers)
            except (requests.RequestException, HTTPError) as error:
                forged = any(isinstance(e, ssl.SSLCertVerificationError) for e in _chain(error))
                raise (Refused if forged else _Again)(_reason(error)) from error
            with response:
                start, total = self._agree(response, part, start, total)
                _refuse_web_page(part, response.headers.get("Content-Type", ""))
                check_room(part.parent, (total or 0) - start, part.name[1:].removesuffix(".part"))
                if not start:
                    part.unlink(missing_ok=True)
                _write_origin(part, url, response, total)
                self._receive(response.raw, part, start, total)

    def _open(self, session: requests.Session, url: str, headers: Any) -> requests.Response:
        """The response at the end of all redirects, none of them to where they must not lead."""
        first = urlsplit(url).hostname or ""
        for _ in range(HOPS):
            try:
                check_address(url)
            except ValueError as wanted:
                _refuse(f"{url[:SHOWN]!r} is not {wanted}")
            # As it will be sent: letters and digits of other scripts have become plain ones.
            url = requests.Request("GET", url).prepare().url or url
            host = urlsplit(url).hostname or ""
            if not is_local(first) and _is_private(host):
                _refuse(f"redirected to the private address {host}")
            limit = self.config.timeout
            response = session.get(
                url, headers=headers, stream=True, timeout=limit, allow_redirects=False
            )
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
        if status == HTTPStatus.PARTIAL_CONTENT:
            form = rf"bytes ({NUMBER})-{NUMBER}/({NUMBER}|\*)"
            found = re.fullmatch(form, headers.get("Content-Range", ""))
            whole = int(found[2]) if found and found[2] != "*" else total
            if not found or int(found[1]) != start or whole is None:
                _ask_again("another part than asked for", part)
        elif status == HTTPStatus.OK:
            start, said = 0, headers.get("Content-Length", "")
            whole = int(said) if re.fullmatch(NUMBER, said) else None
            ends = whole is not None or "chunked" in headers.get("Transfer-Encoding", "")
            if not (ends or self.size or self.checked):
                _refuse("no length given, so that a cut could not be told from the end")
        elif status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and start:
            _ask_again("another file than before", part, 0.0)
        elif status in AGAIN:
            _ask_again(_in_words(status), wait=_retry_after(headers.get("Retry-After", "")))
        else:
            _refuse(_in_words(status))
        # Of a packed file it may mean the file.
        if packing != "identity" and not part.name.endswith((".gz.part", ".tgz.part")):
            _refuse(f"packed as {packing[:SHOWN]!r} though not asked for")
        if whole is not None and self.size not in (None, whole):
            _refuse(f"wrong length, {whole:,} bytes for {self.size:,}")
        if start and total and whole != total:
            _ask_again("another file than before", part, 0.0)
        return start, self.size if whole is None else whole

    def _receive(self, raw: Any, part: Path, start: int, total: int | None) -> None:
        """Append the body to the part file, each piece as it comes, and look at its head."""
        position, looked = start, start >= HEAD
        with part.open("ab", buffering=0) as out:
            self._show(position, total)
            while True:
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
                self._show(position, total)
            os.fsync(out.fileno())
        _refuse_web_page(part)
        if total is not None and position < total:
            if raw.chunked:  # a last piece that says so was read: this is all there is
                _refuse(f"wrong length, {position:,} bytes for {total:,}", part)
            _ask_again(f"cut after {position:,} of {total:,} bytes")

    def _show(self, position: int, total: int | None) -> None:
        if self.bar is not None:
            self.bar.total = total
            self.bar.update(position - self.bar.n)


def length(part: Path) -> int:
    """The bytes of a file; 0 when it is not there."""
    return part.stat().st_size if part.is_file() else 0


def discard(part: Path) -> None:
    """Remove a part file and what is known of it."""
    part.unlink(missing_ok=True)
    _origin(part).unlink(missing_ok=True)


def _origin(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")


def _read_origin(part: Path) -> dict[str, Any]:
    """Where a part file comes from: `address`, `validator`, `total`; empty when not known."""
    try:
        table = json.loads(_origin(part).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return table if isinstance(table, dict) else {}


def _write_origin(part: Path, url: str, response: requests.Response, total: int | None) -> None:
    # A weak ETag must not be used to put parts together (RFC 9110, section 13.1.5).
    tag = response.headers.get("ETag", "")
    validator = tag if tag.startswith('"') else response.headers.get("Last-Modified")
    if validator and not validator.isprintable():  # could not be sent back
        validator = None
    table = {"address": url, "validator": validator, "total": total}
    write_whole(_origin(part), json.dumps(table))


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
    try:
        return not is_public(host)
    except ValueError:
        pass
    try:  # 127.1, 0x7f000001 and 2130706433 are numbers to the system
        return not is_public(socket.inet_ntoa(socket.inet_aton(host)))
    except OSError:
        return is_local(host.removesuffix("."))


def _in_words(status: int) -> str:
    """A status in the standard's words: a server's own may be long, or move a terminal's cursor."""
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return f"status {status}"


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
    for each in (error, inner):
        if name := names.get(type(each).__name__):
            return name
    if isinstance(inner, ssl.SSLCertVerificationError):
        return inner.verify_message
    return getattr(inner, "strerror", None) or type(inner).__name__


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An error, what it came from, and so on down."""
    inner: BaseException | None = error
    while inner:
        yield inner
        inner = inner.__cause__ or inner.__context__
