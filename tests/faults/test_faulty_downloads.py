"""Downloads through servers that fail in every way: right files arrive, good ones stay."""

import contextlib
import gzip
import random
import shutil
import socket
import ssl
import subprocess
import threading
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import partial

import pytest
from servers import Answer, Handler, Listener, listening
from test_downloads import MB, PAGE, content, describe, digest, home, names_in, server  # noqa: F401

from songtitle.corpora import inventory
from songtitle.corpora.guarded_http import BLOCK, TransferConfig
from songtitle.errors import InputError

QUICK = TransferConfig(tries=4, first_wait=0.002, longest_wait=2.0, timeout=5.0)
OLD, NEW = content(3000, 1), content(100_000, 2)


@pytest.fixture
def ask(home, server):  # noqa: F811
    """Ask for a new version of a file that is there in an old one: `ask(number, answer)`.

    Gives the outcome and how often the server was asked. A line says that the new version is in
    place; an error is one line that names the file, and the old version is as it was.
    """

    def attempt(number, *answers, name="x.zip", config=QUICK, address=None, **keys):
        target = home / f"s{number}" / name
        target.parent.mkdir(parents=True)
        target.write_bytes(OLD)
        if answers:
            server.answers[f"/{number}"] = answers[-1]
            answers[-1].before += answers[:-1]
        file = {"path": name, "addresses": [address or f"{server.address}/{number}"]}
        describe(home, target.parent.name, file | {"sha256": digest(NEW)} | keys)
        before = len(server.requests)
        (outcome,) = inventory.fetch([target.parent.name], home, config=config, quiet=True)
        if isinstance(outcome, InputError):
            assert target.read_bytes() == OLD
            assert str(outcome).startswith(f"{target}: expected ")
            assert str(outcome).isprintable()
            assert len(str(outcome)) < 1000
        else:
            assert target.read_bytes() == NEW
        assert set(names_in(target.parent)) <= {name, f".{name}.part", f".{name}.part.json"}
        return outcome, len(server.requests) - before

    return attempt


def whole(**options):
    return Answer(body=NEW, **options)


def refused(outcome, *words):
    assert isinstance(outcome, InputError)
    assert all(word in str(outcome) for word in words), outcome


# ----------------------------------------------------------------------- cut, stalled, slow


def test_a_file_that_is_cut_anywhere_arrives_whole(fault, home, server):  # noqa: F811
    each = fault(
        "downloads",
        "a connection is cut at a random byte",
        "it goes on from that byte: the file is whole, and no byte is sent twice",
        full=500,
        few=15,
    )
    for number in each.rounds:
        rng = random.Random(number)
        body = rng.randbytes(rng.randrange(10, 300_000))
        cuts = sorted(rng.sample(range(1, len(body)), rng.randrange(1, 4)))
        with each.once(f"{len(body)} bytes cut at {cuts}"):
            path, name = f"/{number}", f"s{number}"
            options = {"validator": rng.choice(["ETag", "Last-Modified"])}
            address = server.give(path, body, cuts=list(cuts), **options)
            told = rng.choice([{}, {"sha256": digest(body)}, {"size": len(body)}])
            describe(home, name, {"path": "x.bin", "addresses": [address]} | told)
            (outcome,) = inventory.fetch([name], home, config=QUICK, quiet=True)
            assert not isinstance(outcome, InputError), outcome
            assert (home / name / "x.bin").read_bytes() == body
            assert names_in(home / name) == ["x.bin"]
            assert [end for _, end in server.spans(path)] == [*cuts, len(body)]
            assert server.twice(path) <= len(cuts) * BLOCK
            assert server.twice(path) == 0 or "sha256" in told


def test_a_server_that_falls_silent_is_asked_for_the_rest(fault, ask, server):  # noqa: F811
    each = fault(
        "downloads",
        "a server falls silent in the middle of a file",
        "after the timeout it is asked for the rest only",
        full=20,
        few=2,
    )
    patient = TransferConfig(tries=4, first_wait=0.002, timeout=0.25)
    for number in each.rounds:
        with each.once(number):
            outcome, asked = ask(number, whole(stall=1.0), whole(), config=patient)
            assert not isinstance(outcome, InputError), outcome
            assert asked == 2
            assert server.requests[-1][1]["Range"].startswith("bytes=")


def test_a_slow_server_is_heard_to_the_end(fault, ask):
    each = fault(
        "downloads",
        "a server is slow",
        "it is heard to the end, however long that takes, and asked once",
        full=20,
        few=2,
    )
    hasty = TransferConfig(tries=2, first_wait=0.002, timeout=0.3)
    for number in each.rounds:
        with each.once(number):  # 0.2 s of silence after each piece, 0.4 s in all
            outcome, asked = ask(number, whole(rate=(1 << 16) / 0.2), config=hasty)
            assert not isinstance(outcome, InputError), outcome
            assert asked == 1


# ------------------------------------------------------------------------------ refused


def bad_bit(number, rng):
    bad = bytearray(NEW)
    bad[rng.randrange(len(bad))] ^= 1 << rng.randrange(8)
    return [Answer(body=bytes(bad))], {}, ("sha256", digest(NEW)), 1


def bad_length(number, rng):
    wrong = rng.choice([rng.randrange(1, len(NEW)), rng.randrange(len(NEW) + 1, 3 * len(NEW))])
    answer = Answer(body=(NEW * 3)[:wrong], chunked=number % 2 == 1)
    return [answer], {"size": len(NEW)}, ("wrong length",), 1


def lie(number, rng):
    said = len(NEW) + rng.randrange(1, 10**6)
    return [whole(length=said, ranges=False)], {"size": said}, ("cut",), QUICK.tries


def no(number, rng):
    statuses = [404, 403, 401, 410, 451, 400, 405, 406, 409, 501, 204, 999]
    status = statuses[number % len(statuses)]
    return [Answer(status=status, body=NEW)], {}, (str(status),), 1


def failing(number, rng):
    status, times = (500, 502, 503, 504)[number % 4], number % 5
    words = (str(status),) if times == 4 else None
    return [*[Answer(status=status)] * times, whole()], {}, words, min(times + 1, QUICK.tries)


def login_page(number, rng):
    padding = bytes(rng.choice(b" \n\t\r") for _ in range(rng.randrange(300)))
    opening = bytes(rng.choice((c, c ^ 32)) if chr(c).isalpha() else c for c in PAGE[:15])
    page = padding + opening + PAGE[15:] + rng.randbytes(rng.randrange(5000))
    answers = [
        Answer(body=page, headers={"Content-Type": "text/html; charset=utf-8"}),
        Answer(body=page),
        Answer(body=page, chunked=True),
        Answer(body=b"\xef\xbb\xbf" + page, headers={"Content-Type": "application/zip"}),
        Answer(body=rng.randbytes(900), headers={"Content-Type": "Text/HTML"}),
        Answer(body=page, cuts=[len(page) // 2], ranges=False),
    ]
    return [answers[number % len(answers)]], {}, ("web page",), None


def busy(number, rng):
    hour, past = (
        format_datetime(datetime.now(UTC) + timedelta(hours=hours), usegmt=True)
        for hours in (1, -1)
    )
    long = ["3600", hour, "9" * 18]
    # isdigit() holds of the first, float() does not take it; the others overflow somewhere.
    nonsense = ["\xb2", "9" * 5000, "nan", "-5", "", ",", "Mon, 01 Jan 99999 00:00:00 GMT", "1e9"]
    wishes = [*long, "0", "1", past, *nonsense]
    wish = wishes[number % len(wishes)]
    answers = [Answer(status=429, headers={"Retry-After": wish}), whole()]
    return answers, {}, *((("429", "asks to wait"), 1) if wish in long else (None, 2))


FAULTS = {  # what happens, what comes of it, rounds: all and few
    bad_bit: (
        "a file comes with one bit wrong",
        "it is thrown away; the good file that was there stays",
        *(300, 15),
    ),
    bad_length: (
        "a file of the wrong length comes",
        "it is refused, by its header or when the byte too many comes; the old file stays",
        *(200, 10),
    ),
    lie: (
        "a server announces more bytes than it sends",
        "it is asked again, then left; the old file stays",
        *(50, 4),
    ),
    no: (
        "a server says no (400 to 451, 501)",
        "it is asked once; the line says the status; the old file stays",
        *(60, 6),
    ),
    failing: (
        "a server fails for a while (500, 502, 503, 504)",
        "it is asked again until the file comes; one that goes on failing is left",
        *(80, 6),
    ),
    login_page: (
        "a login page comes instead of a zip",
        "it is known by its type or its first letters and refused; the old file stays",
        *(60, 6),
    ),
    busy: (
        "a server says 429 with Retry-After",
        "it is given that long; one that asks for an hour is left at once; nonsense is passed over",
        *(60, 12),
    ),
}


@pytest.mark.parametrize("make", FAULTS)
def test_what_is_wrong_is_refused_and_what_may_pass_is_waited_out(fault, ask, request, make):
    name, result, full, few = FAULTS[make]
    times_asked = request.getfixturevalue("server").times
    each = fault("downloads", name, result, full=full, few=few)
    for number in each.rounds:
        answers, keys, words, times = make(number, random.Random(number))
        with each.once(number):
            outcome, asked = ask(number, *answers, **keys)
            if words:
                refused(outcome, *words)
            else:
                assert not isinstance(outcome, InputError), outcome
            assert times in (None, asked)
            if answers[0].headers.get("Retry-After") == "1":
                assert times_asked[-1] - times_asked[-2] >= 1


def test_a_circle_of_redirects_is_left(fault, ask, server):  # noqa: F811
    each = fault(
        "downloads",
        "redirects lead in a circle",
        "ten are followed, then the address is left; the old file stays",
        full=40,
        few=4,
    )
    for number in each.rounds:
        with each.once(number):
            circle = [f"/{number}", *(f"/{number}/{place}" for place in range(number % 13))]
            for here, there in zip(circle, [*circle[1:], circle[0]], strict=True):
                server.give(here, status=(301, 302, 303, 307, 308)[number % 5], headers={})
                server.answers[here].headers["Location"] = there
            outcome, asked = ask(number)
            refused(outcome, "more than 10 redirects")
            assert asked == 10


def test_the_body_of_a_redirect_is_not_read(fault, ask, server):  # noqa: F811
    each = fault(
        "downloads",
        "a redirect carries a body without end, or one that unpacks to gigabytes",
        "the body is left unread",
        full=4,
        few=2,
    )
    bodies = [bytes(40 * MB), gzip.compress(bytes(100 * MB), 1) * 100]
    for number in each.rounds:
        with each.once(number):
            packing = ("identity", "gzip")[number % 2]
            headers = {"Location": f"/{number}/there", "Content-Encoding": packing}
            server.give(f"/{number}/there", NEW)
            redirect = Answer(status=302, body=bodies[number % 2], headers=headers)
            outcome, _ = ask(number, redirect)
            assert not isinstance(outcome, InputError), outcome
            assert server.bytes_sent(f"/{number}") < 20 * MB  # what sockets hold


# ------------------------------------------------------------------------- certificates


def make_certificate(folder, name, *, start, end, host="IP:127.0.0.1"):
    """A key and a certificate that signs itself, with the openssl command, in one file."""
    (folder / "index.txt").write_text("")
    (folder / "c.cnf").write_text(
        "[ca]\ndefault_ca = d\n[d]\ndatabase = index.txt\nrand_serial = yes\nnew_certs_dir = .\n"
        "default_md = sha256\npolicy = p\nx509_extensions = e\n[p]\ncommonName = supplied\n"
        f"[e]\nsubjectAltName = {host}\nbasicConstraints = critical,CA:true\n"
    )
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout"]
    for command in (
        ["req", "-config", "c.cnf", *key, f"{name}.key", "-out", "r.csr", "-subj", f"/CN={name}"],
        [
            *("ca", "-batch", "-selfsign", "-config", "c.cnf", "-keyfile", f"{name}.key"),
            *("-notext", "-in", "r.csr", "-out", f"{name}.crt"),
            *("-startdate", start, "-enddate", end),
        ],
    ):
        subprocess.run(["openssl", *command], cwd=folder, check=True, capture_output=True)
    return folder / f"{name}.crt", folder / f"{name}.key"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    """Certificate and key by what is wrong with them."""
    if not shutil.which("openssl"):
        pytest.skip("needs the openssl command, to make certificates")
    folder = tmp_path_factory.mktemp("certificates")
    make = partial(make_certificate, folder)
    now, past, future = "200101000000Z", "200102000000Z", "400101000000Z"
    try:
        return {
            "good": make("good", start=now, end=future),
            "expired": make("expired", start=now, end=past),
            "early": make("early", start=future, end="410101000000Z"),
            "other": make("other", start=now, end=future, host="DNS:example.org"),
            "unknown": make("unknown", start=now, end=future),
        }
    except subprocess.CalledProcessError as error:
        pytest.skip(f"this openssl makes no such certificates: {error.stderr[-200:]!r}")


@contextlib.contextmanager
def tls(certificate, key):
    """A TLS server for one file; gives its address and how many requests came through."""
    asked = []

    class File(Handler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(200)
            self.send_header("Content-Length", str(len(NEW)))
            self.end_headers()
            self.wfile.write(NEW)

    class Counting(Listener):
        shaken = 0

        def get_request(self):
            self.shaken += 1
            return super().get_request()

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    wrap = partial(context.wrap_socket, server_side=True)
    with listening(File, Counting, wrap) as listener:
        yield f"https://127.0.0.1:{listener.server_port}/x.zip", asked, listener


def test_a_wrong_certificate_is_never_overlooked(fault, ask, certificates, tmp_path, monkeypatch):
    each = fault(
        "downloads",
        "a certificate has expired, is not yet valid, of another host or of an unknown maker",
        "the server is left at once and nothing is asked of it; the old file stays",
        full=24,
        few=5,
    )
    known = tmp_path / "known.pem"
    # All but the last are trusted for who made them: it is the date, or the name, that is wrong.
    known.write_text("".join(certificates[n][0].read_text() for n in list(certificates)[:4]))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(known))
    words = {
        "good": "",
        "expired": "certificate has expired",
        "early": "certificate is not yet valid",
        "other": "not valid for '127.0.0.1'",
        "unknown": "certificate",
    }
    for number in each.rounds:
        name = list(words)[number % len(words)]
        with each.once(name), tls(*certificates[name]) as (address, asked, listener):
            outcome, _ = ask(number, address=address)
            if name == "good":
                assert not isinstance(outcome, InputError), outcome
            else:
                refused(outcome, words[name])
                assert asked == []
            assert listener.shaken == 1


# -------------------------------------------------------------------------- nonsense


@contextlib.contextmanager
def saying(answer):
    """A listener that answers whoever comes with these bytes; gives its address."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve():
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    with connection, contextlib.suppress(OSError):
                        connection.recv(65_536)
                        connection.sendall(answer)

        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/x.zip"
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)


def head(*lines, status=b"200 OK"):
    return b"\r\n".join([b"HTTP/1.1 " + status, *lines, b"", b""])


BELL = b"\x1b]0;owned\x07\x1b[2J\x85\x0b\x0c"  # moves cursors, breaks lines
NONSENSE = [
    b"",
    b"\r\n" * 200,
    b"\x00" * 5000,
    b"HTTP/1.1",
    b"HTTP/9.9 200 OK\r\n\r\n",
    b"HTTP/1.1 abc OK\r\n\r\n",
    b"HTTP/1.1 99999999999 OK\r\n\r\n",
    b"SSH-2.0-OpenSSH_9.2\r\n",
    b"HTTP/1.1 200 " + b"K" * 100_000,
    head(status=b"404 " + BELL),
    head(status=b"503 " + BELL),
    head(status=b"299 " + BELL),
    head(*(b"X-%d: y" % n for n in range(300))),
    head(b"X: " + b"y" * 100_000),
    head(b"no colon at all"),
    head(b"Content-Length: \xb2") + NEW[:500],
    head(b"Content-Length: " + b"9" * 5000) + NEW[:500],
    head(b"Content-Length: -1") + NEW[:500],
    head(b"Content-Length: 5, 6") + NEW[:500],
    head(b"Content-Length: 5", b"Content-Length: 6") + NEW[:500],
    head(b"Transfer-Encoding: chunked") + b"zz\r\n",
    head(b"Transfer-Encoding: chunked") + b"-5\r\nabc\r\n",
    head(b"Transfer-Encoding: chunked") + b"f" * 5000 + b"\r\n",
    head(b"Content-Encoding: " + BELL, b"Content-Length: 5") + b"abcde",
    head(b"Content-Encoding: gzip", b"Content-Length: 5") + b"abcde",
    head(b'ETag: "a\r\n b"', b"Content-Length: 100000") + NEW[:500],
    head(b"Content-Range: bytes 0-1/" + b"9" * 5000, status=b"206 Partial"),
    head(b"Content-Range: bytes \xb2-1/2", status=b"206 Partial"),
    head(b"Content-Range: bytes 7-1/2", status=b"206 Partial"),
    *(
        head(b"Location: " + where, status=b"302 Found")
        for where in (
            *(b"http://[", b"https://[::1", b"https://" + BELL + b"/", b"//", b"\xff\xfe", b""),
            *(
                b"https://127.0.0.1:99999/",
                b"https://:x/",
                b"https://a..b/",
                b"http://" + b"a" * 9000,
            ),
            *(b"file:///etc/passwd", b"javascript:alert(1)", b"data:,x", b"https://\xe2\x80\xae/"),
            b"https://xn--/",
        )
    ),
]


def test_an_answer_that_is_nonsense_ends_in_one_line(fault, ask):
    each = fault(
        "downloads",
        "a server answers nonsense (no HTTP, impossible lengths, ranges, addresses)",
        "one printable line that names the file; the old file stays",
        full=300,
        few=len(NONSENSE),
    )
    for number in each.rounds:
        rng = random.Random(number)
        answer = bytearray(NONSENSE[number % len(NONSENSE)])
        for _ in range(number // len(NONSENSE)):  # from the second round on, damaged further
            if answer:
                answer[rng.randrange(min(len(answer), 300))] = rng.randrange(256)
        with each.once(bytes(answer[:80])), saying(bytes(answer)) as address:
            outcome, _ = ask(number, address=address)
            refused(outcome, "expected to download it, got [127.0.0.1: ")
