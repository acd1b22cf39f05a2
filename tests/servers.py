"""Servers on this machine; one gives files, misbehaves as told and counts every byte it sends."""

import contextlib
import hashlib
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

CHUNK = 1 << 16


@dataclass(kw_only=True)
class Answer:
    """What a path answers; `cuts` and `before` are used up, one a request."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    ranges: bool = True  # honours Range
    validator: str | None = "ETag"  # ETag, Last-Modified, "weak" or None
    cuts: list[int] = field(default_factory=list)  # the connection ends at these bytes of the file
    before: list["Answer"] = field(default_factory=list)  # answered first
    stall: float = 0.0  # seconds of silence in the middle of the body
    rate: float | None = None  # bytes a second
    length: int | None = 0  # Content-Length: 0 as it is, None left out, else what it says
    chunked: bool = False


@dataclass
class Server:
    """`answers` by path; `sent` has (path, first byte, one past the last) of each body."""

    address: str
    answers: dict[str, Answer] = field(default_factory=dict)
    sent: list[tuple[str, int, int]] = field(default_factory=list)
    requests: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    busy: int = 0  # requests that are being answered

    def give(self, path: str, body: bytes = b"", **options) -> str:
        """Serve `body` under `path`; its address."""
        self.answers[path] = Answer(body=body, **options)
        return self.address + path

    def spans(self, path: str) -> list[tuple[int, int]]:
        """First byte and one past the last of each body, once all answers are at their end."""
        until = time.monotonic() + 5
        while self.busy and time.monotonic() < until:
            time.sleep(0.005)
        return [(start, end) for name, start, end in self.sent if name == path]

    def bytes_sent(self, path: str) -> int:
        return sum(end - start for start, end in self.spans(path))

    def twice(self, path: str) -> int:
        """How many bytes went out more often than once."""
        distinct, last = 0, 0
        for start, end in sorted(self.spans(path)):
            distinct += max(0, end - max(start, last))
            last = max(last, end)
        return self.bytes_sent(path) - distinct


class Handler(BaseHTTPRequestHandler):
    """Answers and says nothing of it on the terminal."""

    def log_message(self, *_):
        pass


class Listener(ThreadingHTTPServer):
    """Passes over clients that went away or had enough."""

    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, *_):
        pass


@contextlib.contextmanager
def listening(handler: type, listener: type = Listener, wrap=None) -> Iterator[ThreadingHTTPServer]:
    """A server on a free port of the loopback address, until the block ends; `wrap` its socket."""
    with listener(("127.0.0.1", 0), handler) as server:
        server.socket = wrap(server.socket) if wrap else server.socket
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        try:
            yield server
        finally:
            server.shutdown()


@contextlib.contextmanager
def serving() -> Iterator[Server]:
    """A file server, until the block ends."""

    class Files(Handler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            self.close_connection = True
            with server.lock:
                server.busy += 1
                server.requests.append((self.path, dict(self.headers)))
                server.times.append(time.monotonic())
                answer = server.answers.get(self.path, Answer(status=404))
                if answer.before:
                    answer = answer.before.pop(0)
            try:
                self.answer(answer)
            finally:
                with server.lock:
                    server.busy -= 1

        def answer(self, answer):
            digits, total = hashlib.sha256(answer.body).hexdigest()[:16], len(answer.body)
            name, validator = {
                "ETag": ("ETag", f'"{digits}"'),
                "weak": ("ETag", f'W/"{digits}"'),
                "Last-Modified": ("Last-Modified", f"Mon, 01 Jan 2024 0:0:{int(digits, 16) % 60}"),
                None: ("", ""),
            }[answer.validator]
            start, wanted = 0, self.headers.get("Range")
            vouched = self.headers.get("If-Range", validator) == validator
            if wanted and answer.ranges and answer.status == 200 and vouched:
                start = int(wanted.removeprefix("bytes=").removesuffix("-"))
            if start and start >= total:
                self.send_response(416)
                return self.end_headers()
            headers = {name: validator} if name else {}
            if start:
                headers["Content-Range"] = f"bytes {start}-{total - 1}/{total}"
            if answer.chunked:
                headers["Transfer-Encoding"] = "chunked"
            elif answer.length is not None:
                headers["Content-Length"] = answer.length or total - start
            self.send_response(206 if start else answer.status)
            for pair in (headers | answer.headers | {"Connection": "close"}).items():
                self.send_header(*map(str, pair))
            self.end_headers()
            end = next((cut for cut in answer.cuts if start < cut < total), total)
            if end < total:
                answer.cuts.remove(end)
            position = start
            try:
                for position in self.sending(answer, start, end):
                    if answer.stall and start < position:
                        time.sleep(answer.stall)
                        answer.stall = 0.0
                    time.sleep(CHUNK / answer.rate if answer.rate else 0)
                if answer.chunked and end == total:
                    self.wfile.write(b"0\r\n\r\n")
            except OSError:  # the other side went away
                pass
            finally:
                with server.lock:
                    server.sent.append((self.path, start, position))

        def sending(self, answer, position, end):
            """Send the body piece by piece; one past the last byte of each."""
            while position < end:
                block = answer.body[position : min(position + CHUNK, end)]
                if answer.chunked:
                    self.wfile.write(b"%x\r\n%b\r\n" % (len(block), block))
                    position += len(block)
                else:
                    position += self.connection.send(block)
                yield position

    with listening(Files) as listener:
        server = Server(f"http://127.0.0.1:{listener.server_port}")
        yield server
