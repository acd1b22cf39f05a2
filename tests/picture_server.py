"""A server on this machine that gives pictures, and fails in many ways, each on demand."""

import io
import os
import random
import socket
import struct
import threading
import time
import zlib
from functools import cache

from PIL import Image
from servers import Handler, listening

# What each way of failing must be called, with its share of a plan in parts; all differ, so that
# two reasons taken for each other show.
FAILURES = {
    "stall": ("timeout", 3),
    "404": ("404 not found", 4),
    "410": ("410 gone", 5),
    "403": ("403 forbidden", 6),
    "429": ("429 too many requests", 7),
    "500": ("server error 5xx", 8),
    "reset": ("connection reset", 9),
    "short": ("cut short", 10),
    "html": ("not a picture", 11),
    "empty": ("empty", 12),
    "bomb": ("too large", 13),
    "private": ("private address", 14),
    "loop": ("redirect loop", 15),
    "small": ("too small", 16),
}
PARTS = 240  # of these 133 fail


def picture(number, width=402, height=401):
    """A JPEG of its own for each number."""
    image = Image.new("RGB", (width, height), (number % 256, number // 256 % 256, 99))
    image.paste((255, 255, 255), (number % 300, 0, number % 300 + 9, height))
    file = io.BytesIO()
    image.save(file, "JPEG")
    return file.getvalue()


def with_comment(jpeg, text):
    """The same picture in other bytes: a JPEG comment right after its start."""
    return jpeg[:2] + b"\xff\xfe" + struct.pack(">H", len(text) + 2) + text + jpeg[2:]


def bomb():
    """A PNG of a few bytes that claims 100,000 x 100,000 pixels."""

    def chunk(kind, data):
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0)
    pixels = chunk(b"IDAT", zlib.compress(bytes(1000)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + pixels + chunk(b"IEND", b"")


def plan(times=1, total=PARTS, seed=0):
    """How each of `total` addresses answers, shuffled; "good" for those that do not fail.

    Stalls stay together in the first tenth: each costs its whole timeout.
    """
    rng = random.Random(seed)
    stalls = ["stall"] * (FAILURES["stall"][1] * times)
    ways = [way for way, (_, share) in FAILURES.items() for _ in range(share * times)]
    others = ways[len(stalls) :] + ["good"] * (total - len(ways))
    rng.shuffle(others)
    first = stalls + others[: total // 10 - len(stalls)]
    others = others[total // 10 - len(stalls) :]
    rng.shuffle(first)
    return first + others


class Photos:
    """The body for each number: real photos where there is a folder of them, drawn ones else.

    All differ in their bytes. Every tenth is a PNG.
    """

    def __init__(self, ways, folder=None):
        self.ways = ways
        self._kept = cache(self._make)
        paths = sorted(folder.glob("images_*/*.jpg")) if folder else []
        sizes = {path: min(Image.open(path).size) for path in paths}
        self.large = [path for path in paths if sizes[path] > 400]
        self.small = [path for path in paths if sizes[path] <= 400]

    def __call__(self, number):
        return self._kept(number)

    def _make(self, number):
        small = self.ways[number] == "small"
        paths = self.small if small else self.large
        if paths:
            body = paths[number % len(paths)].read_bytes()
        else:
            body = picture(number, 640, 400) if small else picture(number)
        if number % 10 == 3:
            file = io.BytesIO()
            image = Image.open(io.BytesIO(body))
            image.putpixel((0, 0), (number % 256, number // 256, 0))
            image.save(file, "PNG", compress_level=1)
            return file.getvalue()
        return with_comment(body, str(number).encode())


class PictureServer:
    """Answers `/WAY/NUMBER.jpg` as `ways[NUMBER]` says; `log` holds every path asked for."""

    def __init__(self, ways, bodies):
        self.ways, self.bodies = ways, bodies
        self.log = []
        self.elsewhere = ""  # where "elsewhere" leads
        self.awaited = None  # the number of the picture whose request sets `reached`
        self.reached = threading.Event()
        self._over = threading.Event()
        owner = self

        class Pictures(_Handler):
            server_object = owner

        self._listening = listening(Pictures)

    def __enter__(self):
        port = self._listening.__enter__().server_port
        self.host = f"127.0.0.1:{port}"
        self.root = f"http://{self.host}"
        return self

    def __exit__(self, *_):
        self._over.set()
        self._listening.__exit__(None, None, None)

    def url(self, number):
        return f"{self.root}/{self.ways[number]}/{number}.jpg"

    def await_number(self, number):
        """Set `reached` when this picture is asked for."""
        self.reached.clear()
        self.awaited = f"/{number}.jpg"

    def asked(self, path):
        self.log.append(path)
        if self.awaited is not None and path.endswith(self.awaited):
            self.reached.set()

    def wait_to_the_end(self, seconds):
        return self._over.wait(seconds)


class _Handler(Handler):
    server_object: PictureServer

    def do_GET(self):
        server = self.server_object
        server.asked(self.path)
        _, way, name = self.path.split("/")
        number = int(name.partition(".")[0])
        body = server.bodies(number)
        if way == "flaky" and server.log.count(self.path) == 1:
            way = "503"
        places = {
            "private": "http://10.0.0.1/secret.jpg",
            "loop": self.path,
            "moved": f"/good/{number}.jpg",
            "elsewhere": server.elsewhere,
        }
        bodies = {"html": b"<!doctype html><p>Please log in", "empty": b"", "bomb": bomb()}
        if way.isdigit():
            self.answer(int(way), b"<html>no</html>")
        elif way in places:
            self.answer(302, b"", ("Location", places[way]))
        elif way == "stall":
            server.wait_to_the_end(60)
        elif way == "reset":
            self.answer(200, body, send=len(body) // 2)
            time.sleep(0.02)
            linger = struct.pack("ii", 1, 0)  # closes with a reset
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            os.close(self.connection.detach())
        elif way == "drip":
            self.answer(200, body, send=10)
            while not server.wait_to_the_end(0.05):
                self.wfile.write(b"x")
        elif way == "endless":
            self.wfile.write(b"HTTP/1.0 200 OK\r\n\r\n")
            while not server.wait_to_the_end(0):
                self.wfile.write(bytes(100_000))
        else:
            robots = [("X-Robots-Tag", "noai")] if way == "robots" else []
            send = -1 if way == "short" else None
            self.answer(200, bodies.get(way, body), *robots, send=send)

    def answer(self, status, body, *headers, send=None):
        self.send_response(status)
        for header in (("Content-Length", str(len(body))), *headers):
            self.send_header(*header)
        self.end_headers()
        self.wfile.write(body[:send])
