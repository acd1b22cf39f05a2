"""The built book, a local server of it, and a Chromium to read it in.

These tests need `make book` first and run only when asked for: `make test-book`.
"""

import os
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from songtitle.book import pdf
from songtitle.errors import InputError

HERE = Path(__file__).parent
SOURCE = "_modules/songtitle/text.html"
BOOK = Path(os.environ.get("SONGTITLE_BOOK") or HERE.parent.parent / "book" / "_build" / "html")


def pytest_ignore_collect(collection_path, config):
    """Plain `pytest` leaves this folder out: most who test the code have not built the book."""
    start = config.invocation_params.dir
    asked = [(start / argument.split("::")[0]).resolve() for argument in config.args]
    return None if any(path == HERE or HERE in path.parents for path in asked) else True


def page_names():
    """Every page of the built book, below its folder, and one of those that show a module's source;
    one that says what is missing if none is."""
    pages = sorted(BOOK.rglob("*.html")) if BOOK.is_dir() else []
    names = [path.relative_to(BOOK).as_posix() for path in pages]
    whole = [name for name in names if not name.startswith(("_static/", "_modules/"))]
    whole += [name for name in names if name == SOURCE]
    return whole or ["no page: make book first"]


def pytest_generate_tests(metafunc):
    """One test for each page, whichever pages there are."""
    if "name" in metafunc.fixturenames:
        metafunc.parametrize("name", page_names())


@pytest.fixture(scope="session")
def book_html():
    """The folder of the built book."""
    if not (BOOK / "index.html").is_file():
        pytest.fail(f"{BOOK}: expected a built book; run `make book` first", pytrace=False)
    return BOOK


class Quiet(SimpleHTTPRequestHandler):
    """Serves without a line for each request, and wasm as what browsers take it for."""

    extensions_map: dict[str, str] = {  # noqa: RUF012 (the parent's own is a plain dictionary)
        **SimpleHTTPRequestHandler.extensions_map,
        ".wasm": "application/wasm",
        ".mjs": "text/javascript",
    }

    def log_message(self, format, *args):
        pass


@pytest.fixture(scope="session")
def book_url(book_html):
    """The address of the book on this machine, without a slash at its end."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(book_html)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="session")
def browser():
    """A headless Chromium, or one line that says how to get one."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        try:
            browser = pdf.launch(
                playwright, "--autoplay-policy=no-user-gesture-required", "--mute-audio"
            )
        except InputError as error:
            pytest.fail(str(error), pytrace=False)
        yield browser
        browser.close()


class Watched:
    """What went wrong while a page was shown."""

    def __init__(self, page):
        self.problems, self.outside, self.received = [], [], 0
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.problems.append(f"error: {error}"))
        page.on("requestfailed", self._failed)
        page.on("request", self._request)
        page.on("response", self._response)

    def _console(self, message):
        if message.type in ("error", "warning"):
            self.problems.append(f"{message.type}: {message.text}")

    def _failed(self, request):
        if request.failure != "net::ERR_ABORTED":  # left for the next page while loading
            self.problems.append(f"failed: {request.url} ({request.failure})")

    def _request(self, request):
        where = urlsplit(request.url)
        if where.scheme not in ("data", "blob") and where.hostname != "127.0.0.1":
            self.outside.append(request.url)

    def _response(self, response):
        if response.status >= 400:
            self.problems.append(f"{response.status}: {response.url}")


def opened(browser, **options):
    context = browser.new_context(color_scheme="light", **options)
    page = context.new_page()
    page.set_default_timeout(20_000)
    page.watched = Watched(page)
    yield page
    context.close()


@pytest.fixture
def page(browser):
    """A fresh page at desktop width; `page.watched` collects what goes wrong on it."""
    yield from opened(browser, viewport={"width": 1280, "height": 900})


@pytest.fixture
def phone(browser):
    """A fresh page at the width of a phone, touched instead of clicked."""
    size = {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 2}
    yield from opened(browser, **size, is_mobile=True, has_touch=True)
