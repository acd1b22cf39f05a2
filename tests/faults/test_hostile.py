"""Hostile data: each attack is carried out, and nothing runs, leaks, leaves its place or grows."""

import ast
import bz2
import csv
import gzip
import io
import os
import pickle
import random
import re
import shutil
import socket
import stat
import struct
import tarfile
import threading
import time
import zipfile

import papermill
import pytest
import torch
import yaml
from picture_server import bomb
from PIL import Image
from safetensors.torch import save
from test_downloads import make_zip
from test_gallery import Reader, song_row
from test_manifest import link, make_tar
from test_pages import HOSTILE
from training_examples import new_model, train

from songtitle import cache, figures
from songtitle.book import reproduce
from songtitle.config import preset
from songtitle.corpora import guarded_http
from songtitle.corpora.guarded_http import Limits, NotFetchedError, Reason, Refused, Transfer, get
from songtitle.corpora.manifest import unpack
from songtitle.errors import InputError
from songtitle.model.weights import read_state
from songtitle.pictures import load_picture, load_view
from songtitle.studies import gallery
from songtitle.tables import Note, Table, plain, shown
from songtitle.training.checkpoints import kept_checkpoint, load_weights, read_checkpoint

MB = 1 << 20


def refusal(call, *words):
    """The one line in which a call refuses what it was given."""
    with pytest.raises(InputError) as caught:
        call()
    assert len(str(caught.value).splitlines()) == 1
    assert all(word in str(caught.value) for word in words), caught.value


def outcome(call):
    """What a call gives and None, or None and the one line in which it refuses."""
    try:
        return call(), None
    except InputError as error:
        (line,) = str(error).splitlines()
        return None, line


# ------------------------------------------------------------------------------ archives


def tree(folder):
    """All that lies below a folder, links as links, and files with their content."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
    }


@pytest.fixture
def unpacked(tmp_path):
    """Unpack an archive into `in/` beside a secret: whether it was taken; nothing moves outside."""

    def attempt(number, body, packing, name="x"):
        place = tmp_path / str(number)
        inside = place / "deep" / "in"
        inside.mkdir(parents=True)
        (place / "secret").write_bytes(b"secret")
        archive = place / f"{name}.{packing}"
        archive.write_bytes(body)
        before = tree(place)
        files, line = outcome(lambda: unpack(archive, inside, packing))
        assert files is not None or str(archive) in line
        after = tree(place)
        assert {n: b for n, b in after.items() if not n.startswith("deep/in/")} == before
        assert all(b != b"secret" for n, b in after.items() if n.startswith("deep/"))
        for path in inside.rglob("*"):
            mode = path.lstat().st_mode
            assert stat.S_ISREG(mode) or stat.S_ISDIR(mode)
            assert path.suffix != ".part"
        assert files is None or all((inside / file.path).is_file() for file in files)
        return files is not None

    return attempt


def packed(kind, names, tmp_path):
    """An archive of files with these names and the packing that it has."""
    if kind == "zip":
        return make_zip([(name, b"x") for name in names]), "zip"
    members = [(name, b"x") for name in names]
    return make_tar(tmp_path / "made", members, kind).read_bytes(), "tar"


def test_no_name_in_an_archive_leads_out_of_its_folder(fault, unpacked, tmp_path):
    each = fault(
        "hostile",
        "an archive holds absolute names, or climbs with `..`",
        "it is refused by name; nothing outside its folder is touched",
        full=400,
        few=32,
    )
    out = str(tmp_path / "evil")
    climbs = ["../evil", "../../secret", "a/../../evil", "./../evil", "a/b/../../../evil", ".."]
    starts = [out, "/" + out, "//x/y/evil", "/evil-of-songtitle"]
    windows = ["..\\evil", "C:evil", "C:\\evil", "\\evil", "\\\\x\\y\\evil", "a\\..\\..\\evil"]
    kinds = ["zip", *MODES, "w:xz"]
    for number in each.rounds:
        rng = random.Random(number)
        names = climbs + starts + windows
        evil = names[number % len(names)]
        if number >= 4 * len(names):  # then longer ways of the same sort
            steps = [rng.choice(["..", "a", ".", "b c", "ü"]) for _ in range(rng.randrange(3, 30))]
            evil = "/".join([*[".."] * (1 + sum(s not in ("..", ".") for s in steps)), *steps])
        around = [f"good{place}" for place in range(number % 3)]
        with each.once(f"{kinds[number % 4]}: {evil}"):
            body, packing = packed(kinds[number % 4], [*around, evil], tmp_path)
            assert not unpacked(number, body, packing)
            assert not (tmp_path / "evil").exists()


def zip_of(name, mode, target=b"../../secret"):
    info = zipfile.ZipInfo(name)
    info.create_system, info.external_attr = 3, mode << 16
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr(info, target)
    return buffer.getvalue()


MODES = ("w", "w:gz")


def test_no_link_or_device_comes_out_of_an_archive(fault, unpacked, tmp_path):
    each = fault(
        "hostile",
        "an archive holds links (symbolic, hard) or devices",
        "it is refused; no link is made, none is followed",
        full=120,
        few=24,
    )
    secret, evil = "../../secret", [("out/evil", b"x")]
    tars = [
        [link("a", secret)],
        [link("a", str(tmp_path))],
        [link("a", secret, tarfile.LNKTYPE)],
        [("good", b"x"), link("a", "good", tarfile.LNKTYPE)],
        [("good", b"x"), link("a", "good")],
        [link("out", ".."), *evil],
        [link("out", "/tmp"), *evil],
        [link("out", "in"), link("out/in2", ".."), *evil],
        [link("a", "", tarfile.CHRTYPE)],
        [link("a", "", tarfile.BLKTYPE)],
        [link("a", "", tarfile.FIFOTYPE)],
        [link("a", "", tarfile.CONTTYPE), link("b", secret)],
    ]
    zips = [
        zip_of("a", kind | 0o777)
        for kind in (stat.S_IFLNK, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFIFO, stat.S_IFSOCK)
    ]
    whole = [
        *((make_tar(tmp_path / "t", t, mode).read_bytes(), "tar") for t in tars for mode in MODES),
        *((body, "zip") for body in zips),
    ]
    for number in each.rounds:
        body, packing = whole[(number * 5) % len(whole)]
        with each.once(number):
            assert not unpacked(number, body, packing)


DESCRIPTIONS = (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME)


def described(kind, text):
    """A tar archive whose first member is described at length."""
    info = tarfile.TarInfo("x")
    info.type, info.size = kind, len(text)
    return info.tobuf(tarfile.USTAR_FORMAT) + text


def test_no_archive_fills_the_disk_or_the_memory(fault, tmp_path, monkeypatch):
    each = fault(
        "hostile",
        "an archive is a bomb",
        "it is refused before the disk is full, and leaves nothing",
        full=30,
        few=15,
    )
    big = bytes(40 * MB)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        for place in range(8):
            file.writestr(f"{place}", big[: 5 * MB])
    bombs = {
        "zip": [make_zip([("big", big)]), buffer.getvalue()],
        "tar": [
            make_tar(tmp_path / "t", [("big", big)], "w:gz").read_bytes(),
            make_tar(tmp_path / "t", [("big", big)], "w:bz2").read_bytes(),
            *(bz2.compress(described(kind, big), 1) for kind in DESCRIPTIONS),
        ],
    }
    usage = shutil.disk_usage(tmp_path)
    room = 32 * MB
    for number in each.rounds:
        packing = list(bombs)[number % 2]
        body = bombs[packing][number // 2 % len(bombs[packing])]
        word = "a header of" if body in bombs["tar"][2:] else "disk space"
        place = tmp_path / str(number)
        place.mkdir()
        (place / f"x.{packing}").write_bytes(body)
        out = place / "out"

        def free(_, out=out):
            return usage._replace(free=room - sum(p.stat().st_size for p in out.rglob("*")))

        monkeypatch.setattr(shutil, "disk_usage", free)
        with each.once(f"{packing} {number}"):
            refusal(lambda p=place, o=out, k=packing: unpack(p / f"x.{k}", o, k), word)
            assert not [path for path in out.rglob("*") if path.is_file()]


def test_a_damaged_archive_is_taken_whole_or_named(fault, unpacked, tmp_path):
    each = fault(
        "hostile",
        "an archive is damaged anywhere",
        "it is refused by name, or every file that it lists is there; no half file stays",
        full=1500,
        few=60,
    )
    members = [("d/a.txt", random.Random(0).randbytes(300)), ("d/b.txt", b"hello" * 100)]
    whole = [
        (make_zip(members), "zip"),
        (make_tar(tmp_path / "t", members, "w").read_bytes(), "tar"),
        (make_tar(tmp_path / "t", members, "w:gz").read_bytes(), "tar"),
        (make_tar(tmp_path / "t", members, "w:xz").read_bytes(), "tar"),
    ]
    for number in each.rounds:
        rng = random.Random(number)
        body, packing = whole[number % len(whole)]
        body = bytearray(body)
        for _ in range(rng.choice([1, 1, 2, 5])):
            body[rng.randrange(len(body))] = rng.randrange(256)
        if rng.random() < 0.3:
            body = body[: rng.randrange(len(body))]
        with each.once(f"{packing}, seed {number}"):
            unpacked(number, bytes(body), packing)


# ------------------------------------------------------------------------------ pictures


def claims(width, height):
    """Pictures of a few bytes by format, whose headers claim this size."""
    jpeg = b"\xff\xd8\xff\xc0\x00\x11\x08" + struct.pack(
        ">HH", *(min(s, 65_500) for s in (height, width))
    )
    jpeg += b"\x03\x01\x22\x00\x02\x11\x01\x03\x11\x01" + b"\xff\xda" + bytes(100)
    small = struct.pack("<HH", *(min(s, 65_535) for s in (width, height)))
    tags = [(256, width), (257, height), (258, 8), (259, 1), (262, 1), (273, 8), (278, height)]
    tags = [(tag, 4, 1, value) for tag, value in [*tags, (279, 100)]]
    tiff = b"II*\x00\x08\x00\x00\x00" + struct.pack("<H", len(tags))
    tiff += b"".join(struct.pack("<HHII", *tag) for tag in tags) + bytes(100)
    bmp = b"BM" + struct.pack("<IIIIiiHHIIiiII", 200, 0, 54, 40, width, height, 1, 24, *[0] * 6)
    webp = b"VP8X" + struct.pack("<II", 10, 0)
    webp += (min(width, 1 << 24) - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    gif = b"".join(
        [b"GIF89a", small, b"\x80\x00\x00", bytes(6), b",", bytes(4), small, b"\x00\x02"]
    )
    psd = struct.pack(">HIIHH", 3, height, width, 8, 3) + bytes(40)
    return {
        "png": bomb(),
        "jpeg": jpeg,
        "gif": gif,
        "tiff": tiff,
        "bmp": bmp + bytes(200),
        "ppm": b"P6 %d %d 255\n" % (width, height) + bytes(100),
        "pgm": b"P5 %d %d 65535\n" % (width, height) + bytes(100),
        "webp": b"RIFF" + struct.pack("<I", len(webp) + 4) + b"WEBP" + webp,
        "psd": b"8BPS\x00\x01" + bytes(6) + psd,
        "sgi": b"\x01\xda\x00\x01\x00\x03" + struct.pack(">HHH", 65_535, 65_535, 3) + bytes(500),
        "tga": bytes([0, 0, 2]) + bytes(9) + b"\xff\xff\xff\xff" + bytes([24, 0]) + bytes(60),
    }


def test_a_picture_that_claims_billions_of_pixels_is_not_decoded(fault, tmp_path):
    each = fault(
        "hostile",
        "a picture claims 100,000 x 100,000 pixels",
        "it is refused by its header, in a moment and without the memory",
        full=88,
        few=22,
    )
    try:
        from songtitle.corpora.worker import as_jpeg
    except ImportError:  # img2dataset is for Python below 3.13
        as_jpeg = None
    bodies = list(claims(100_000, 100_000).items())
    for number in each.rounds:
        kind, body = bodies[number % len(bodies)]
        path = tmp_path / f"claim.{kind}"
        path.write_bytes(body)
        with each.once(kind):
            started = time.monotonic()
            view = number // len(bodies) % 2
            load = load_view if view else load_picture
            before = _peak()
            refusal(lambda p=path, f=load, v=view: f(p, 64) if v else f(p), str(path))
            if as_jpeg:
                with pytest.raises(NotFetchedError) as caught:
                    as_jpeg(body, Limits(max_pixels=10**8))
                assert caught.value.reason in (Reason.TOO_LARGE, Reason.NOT_A_PICTURE)
            assert time.monotonic() - started < 2
            assert _peak() - before < 300 * MB


def _peak():
    resource = pytest.importorskip("resource")
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


@pytest.fixture
def listener():
    """A port that counts who connects: its address, and the list of those who came."""
    came = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept():
            try:
                while True:
                    connection, _ = server.accept()
                    came.append(connection.recv(1000))
                    connection.close()
            except OSError:
                pass

        threading.Thread(target=accept, daemon=True).start()
        yield f"127.0.0.1:{server.getsockname()[1]}", came
        server.shutdown(socket.SHUT_RDWR)


SVG = (
    '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" {}>{}</svg>'
)
RED = '<rect width="9" height="9" fill="red"/>'
# {0} is an address that listens, {1} a file with a secret, {2} a blue picture and {3} its name.
ATTACKS = [
    '<!DOCTYPE svg [<!ENTITY x SYSTEM "http://{0}/x">]>|<text>&x;</text>',
    '<!DOCTYPE svg [<!ENTITY x SYSTEM "file://{1}">]>|<text>&x;</text>',
    '<!DOCTYPE svg [<!ENTITY % x SYSTEM "http://{0}/x.dtd"> %x;]>|' + RED,
    '<!DOCTYPE svg SYSTEM "http://{0}/x.dtd">|' + RED,
    '<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "http://{0}/x.dtd">|' + RED,
    '<?xml-stylesheet type="text/css" href="http://{0}/x.css"?>|' + RED,
    '<?xml-stylesheet type="text/xsl" href="http://{0}/x.xsl"?>|' + RED,
    '|<script>fetch("http://{0}/x")</script>' + RED,
    '|<script href="http://{0}/x.js"/>' + RED,
    '|<rect width="9" height="9" fill="red" onload="fetch(\'http://{0}/x\')"/>',
    '|<image href="http://{0}/x.png" width="9" height="9"/>',
    '|<image xlink:href="http://{0}/x.svg" width="9" height="9"/>',
    '|<image href="//{0}/x.png" width="9" height="9"/>',
    '|<image href="file://{1}" width="9" height="9"/>',
    '|<image href="{2}" width="9" height="9"/>',
    '|<image xlink:href=" {2}" width="9" height="9"/>',
    '|<image href="file://{2}" width="9" height="9"/>',
    '|<image href="{3}" width="9" height="9"/>',
    '|<i:image xmlns:i="http://www.w3.org/2000/svg" href="{2}" width="9" height="9"/>',
    '|<image href="{2}" style="display: inline !important" width="9" height="9"/>',
    '|<filter id="f"><feImage href="{2}"/></filter><rect width="9" height="9" filter="url(#f)"/>',
    '<!DOCTYPE svg [<!ENTITY x \'<&#105;mage href="{2}" width="9" height="9"/>\'>]>|&x;',
    '|<image href="data:image/svg+xml,%3Csvg xmlns=%22http://www.w3.org/2000/svg%22%3E'
    '%3Cimage href=%22{2}%22/%3E%3C/svg%3E" width="9" height="9"/>',
    '|<image href="data:image/svg+xml,%3Csvg xmlns=%22http://www.w3.org/2000/svg%22%3E'
    '%3Cimage href=%22http://{0}/x.png%22/%3E%3C/svg%3E" width="9" height="9"/>',
    '|<use href="http://{0}/x.svg#a"/>' + RED,
    '|<use xlink:href="file://{1}#a"/>' + RED,
    '|<feImage href="http://{0}/x.png"/>' + RED,
    '|<filter id="f"><feImage href="http://{0}/x.png"/></filter>'
    '<rect width="9" height="9" filter="url(#f)"/>',
    '|<style>@import url("http://{0}/x.css");</style>' + RED,
    "|<style>@font-face {{font-family: x; src: url(http://{0}/x.woff)}}</style>"
    '<text font-family="x">a</text>',
    '|<rect width="9" height="9" fill="url(http://{0}/x.svg#a)"/>',
    '|<foreignObject><iframe xmlns="http://www.w3.org/1999/xhtml" src="http://{0}/"/>'
    "</foreignObject>" + RED,
    '|<a href="http://{0}/">' + RED + "</a>",
    '|<animate href="http://{0}/x" attributeName="x"/>' + RED,
    '|<tref xlink:href="http://{0}/x"/>' + RED,
    '|<xi:include xmlns:xi="http://www.w3.org/2001/XInclude" href="file://{1}" parse="text"/>'
    + RED,
    '<!DOCTYPE svg [<!ENTITY a "&b;&b;"><!ENTITY b "&a;&a;">]>|<text>&a;</text>',
    '<!DOCTYPE svg [<!ENTITY a0 "aaaaaaaaaa">'
    + "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 10))
    + "]>|<text>&a9;</text>",
    '|<g id="a"><use href="#a"/></g>' + RED,
]


def test_drawing_an_svg_reaches_for_nothing(fault, tmp_path, listener, monkeypatch):
    each = fault(
        "hostile",
        "an SVG refers to entities, scripts, styles, fonts or pictures elsewhere",
        "it is drawn without them or refused; no connection is made, no file is read",
        full=4 * len(ATTACKS),
        few=len(ATTACKS),
    )

    def reached(*_, **__):
        pytest.fail("drawing opened a socket")

    address, came = listener
    secret = tmp_path / "secret"
    secret.write_text('<svg xmlns="http://www.w3.org/2000/svg"><g id="a">secret</g></svg>')
    picture = tmp_path / "blue.png"
    Image.new("RGB", (9, 9), "blue").save(picture)
    monkeypatch.setattr(socket, "getaddrinfo", reached)
    monkeypatch.setattr(socket.socket, "connect", reached)
    for number in each.rounds:
        attack = ATTACKS[number % len(ATTACKS)]
        with each.once(attack[:80]):
            before, inside = attack.format(address, secret, picture, picture.name).split("|", 1)
            text = (before + SVG.format('width="9" height="9"', inside)).encode()
            path = tmp_path / ("x.svgz" if number % 2 else "y.svg")
            path.write_bytes(gzip.compress(text) if number % 2 else text)
            drawn, line = outcome(lambda p=path: load_picture(p, short_side=9))
            if drawn is None:
                assert "secret" not in line.replace(str(tmp_path), "")
            else:
                # Red as it stands there, white where what is elsewhere was to be seen, or text.
                ground = (drawn > 0.99).all(0)
                red = (drawn[0] > 0.99) & (drawn[1] < 0.01) & (drawn[2] < 0.01)
                black = inside.startswith("<rect") and not red.any()
                assert black or "<text" in inside or bool((ground | red).all())
            assert came == []


HEAVY = [
    "<g>" * 50_000 + "</g>" * 50_000,  # deeper than a stack
    '<pattern id="p" width="100000" height="100000" patternUnits="userSpaceOnUse">'
    '<rect width="99999" height="99999"/></pattern><rect width="9" height="9" fill="url(#p)"/>',
    '<filter id="f"><feTurbulence baseFrequency="0.1" numOctaves="100000000"/></filter>'
    '<rect width="900" height="900" filter="url(#f)"/>',  # takes years
]


def test_an_svg_that_ends_what_draws_it_ends_no_more(fault, tmp_path):
    each = fault(
        "hostile",
        "an SVG crashes what draws it, fills its memory, or takes for ever",
        "one line that names the file; the run goes on with the next",
        full=6 * len(HEAVY),
        few=len(HEAVY) - 1,
    )
    path = tmp_path / "heavy.svg"
    for number in each.rounds:
        inside = HEAVY[number % len(HEAVY)]
        with each.once(inside[:40]):
            path.write_text(SVG.format('width="900" height="900"', inside), "utf-8")
            drawn, line = outcome(lambda: load_picture(path, short_side=9))
            assert drawn is None
            assert "heavy.svg" in line


# ----------------------------------------------------------------- spreadsheets and pages

FORMULAE = [
    *("=1+1", "+1+1", "-1+1", "@SUM(1)"),
    *('=HYPERLINK("http://x.example","y")', "=cmd|' /C calc'!A0"),
    *("\t=1+1", "\r=1+1", "\n=1+1", " =1+1", "＝1+1", "＋1+1", "－1+1", "＠SUM(1)"),
    *("a;=1+1", "a; =1+1", 'a";=1+1', "a,=1+1", 'a","=1+1', "a\n=1+1", "'=1+1", "\u2068=1+1"),
]


def test_no_cell_of_a_figures_numbers_is_a_formula(fault):
    each = fault(
        "hostile",
        "a title begins with =, +, - or @ and reaches a CSV",
        "no spreadsheet takes the cell for a formula, whatever separates its cells",
        full=10 * len(FORMULAE),
        few=len(FORMULAE),
    )
    import matplotlib.pyplot as plt
    import pandas as pd

    for number in each.rounds:
        text = FORMULAE[number % len(FORMULAE)]
        place = number // len(FORMULAE) % 3
        with each.once(repr(text)):
            figure, ax = plt.subplots()
            names = [text if place == kind else "plain" for kind in range(3)]
            frame = pd.DataFrame({"series": [names[0], "other"], names[2]: [3, 4]})
            figures.hand_on(ax, frame, "numbers", panel=names[1])
            figures.hand_on(ax.twinx(), frame, "the same")  # so that panels have their column
            written = figures.csv_of(figure)
            plt.close(figure)
            for separator in ",;\t":
                rows = csv.reader(io.StringIO(written), delimiter=separator)
                cells = [cell for row in rows for cell in row]
                dangerous = [c for c in cells if re.match("[=+@＝＋－＠\t\r]|-(?![\\d.])", c)]
                assert not dangerous, written


PIECES = [*HOSTILE, *"\u202e\u2066\u200f\ud800\x00", "\x1b[2J", "\u202egpj.exe", "'\"><svg"]


def hostile_text(rng):
    pieces = (rng.choice(["", " ", "\n"]) + rng.choice(PIECES) for _ in range(rng.randrange(1, 4)))
    return "".join(pieces)


def test_a_hostile_title_is_text_on_every_page(fault):
    each = fault(
        "hostile",
        "a title holds HTML, quotes, MyST, control or right-to-left signs, emoji",
        "pages show it as it is: no element, no attribute, no turned neighbour comes of it",
        full=600,
        few=40,
    )
    import pandas as pd
    from markdown_it.renderer import RendererHTML
    from myst_parser.config.main import MdParserConfig
    from myst_parser.parsers.mdit import create_md_parser

    settings = yaml.safe_load((cache.ROOT / "_config.yml").read_text("utf-8"))
    names = set(settings["parse"]["myst_enable_extensions"])
    markdown = create_md_parser(MdParserConfig(enable_extensions=names), RendererHTML)
    config, wave = preset("tiny"), torch.randn(44_100, generator=torch.manual_seed(0)) / 10
    tags = {
        *("article", "audio", "bdi", "code", "details", "div", "fieldset", "figcaption", "figure"),
        *("h3", "img", "input", "label", "legend", "li", "ol", "p", "span", "summary"),
    }
    table_tags = {"table", "caption", "thead", "tbody", "tr", "th", "td", "p", "br"}

    def seen(text):
        return " ".join(text.replace("\u2068", "").replace("\u2069", "").split())

    for number in each.rounds:
        text = hostile_text(random.Random(number))
        with each.once(repr(text)):
            told = seen(shown(text))
            assert not re.search("[\u202a-\u202e\u2066\u2067\u200e\u200f\x00-\x1f]", shown(text))
            rendered = Reader(markdown.render(f"So {plain(text)} it is."))
            assert {tag for tag, _ in rendered.tags} <= {"p"}
            assert seen(rendered.text) == f"So {told} it is."
            frame = pd.DataFrame({"a": [shown(text)], shown(text): [text]})
            table = Table(frame, name="t", caption=plain(text), note=plain(text))
            page = Reader(table._repr_html_() + Note(plain(text), plain(text))._repr_html_())
            assert {tag for tag, _ in page.tags} <= table_tags | {"strong"}
            if number % 5 == 0:  # a card takes a tenth of a second: it holds sound
                row = song_row(title=text, chance=text, choices=["a", text, "b", "c"])
                row |= dict.fromkeys(("transcriber", "book", "file"), f"{text}\u202e")
                row |= {"terms": [text]}
                row |= {"tokens": [text], "known": [text], "beams": [[[text], -1.0]]}
                card = gallery.card(1, row, wave, config)
                assert {tag for tag, _ in Reader(card).tags} <= tags
                attributes = {name for _, given in Reader(card).tags for name in given}
                assert not [name for name in attributes if name.startswith("on")]
                assert not re.search("[\u202a-\u202e\u2066\u2067\u200e\u200f\x00-\x09]", card)


# ------------------------------------------------------------------------------- weights


class Trap:
    """Makes a folder when it is unpickled."""

    def __init__(self, path, way):
        code = f"__import__('os').mkdir({str(path)!r})"
        self.way, calls = way, ((os.mkdir, str(path)), (eval, code), (exec, code))
        self.call, argument = (*calls, (os.system, f"mkdir '{path}'"))[way]
        self.argument = argument

    def __reduce__(self):
        return self.call, (self.argument,)


def test_a_pickle_in_place_of_weights_runs_nothing(fault, tmp_path):
    each = fault(
        "hostile",
        "a pickle that runs code lies in place of weights or a checkpoint",
        "it is refused unread; nothing of it runs",
        full=240,
        few=24,
    )
    train(tmp_path / "run", epochs=1)
    checkpoint = kept_checkpoint(tmp_path / "run")
    sprung = tmp_path / "sprung"
    names = ["x.pt", "x.pth", "x.safetensors", "x.bin", "x"]
    for number in each.rounds:
        trap = Trap(sprung, number % 4)
        held = [trap, {"a": trap}, {"a": torch.zeros(2), "b": [trap]}][number // 5 % 3]
        buffer = io.BytesIO()
        if number % 3 == 0:
            buffer.write(pickle.dumps(held, number % 6))
        else:
            torch.save(held, buffer, _use_new_zipfile_serialization=number % 3 == 1)
        path = tmp_path / names[number % len(names)]
        path.write_bytes(buffer.getvalue())
        with each.once(f"{path.name}, way {trap.way}"):
            refusal(lambda p=path: read_state(str(p)), path.name)
            refusal(lambda p=path: load_weights(p, new_model()), path.name)
            for name in ("model.safetensors", "progress.json"):
                good = (checkpoint / name).read_bytes()
                (checkpoint / name).write_bytes(buffer.getvalue())
                try:
                    refusal(lambda: load_weights(checkpoint, new_model()), name)
                    if name == "progress.json":
                        refusal(lambda: read_checkpoint(checkpoint), name)
                finally:
                    (checkpoint / name).write_bytes(good)
            assert not sprung.exists()
    load_weights(checkpoint, new_model())


@pytest.mark.filterwarnings("ignore")  # torch warns of some damage before it refuses it
def test_damaged_weights_are_named(fault, tmp_path):
    each = fault(
        "hostile",
        "a file of weights is damaged anywhere",
        "it is refused by name, or tensors come and nothing else",
        full=1500,
        few=80,
    )
    state = {"weight": torch.arange(15.0).view(3, 5), "bias": torch.ones(3)}
    bodies = {"x.safetensors": save(state)}
    for name, zipped in (("zip.pt", True), ("legacy.pt", False)):
        buffer = io.BytesIO()
        torch.save(state, buffer, _use_new_zipfile_serialization=zipped)
        bodies[name] = buffer.getvalue()
    bodies["bare.pt"] = pickle.dumps({"a": [1, 2, 3]}, 2)
    for number in each.rounds:
        rng = random.Random(number)
        name = list(bodies)[number % len(bodies)]
        body = bytearray(bodies[name])
        for _ in range(rng.choice([1, 1, 2, 5])):
            body[rng.randrange(len(body))] = rng.randrange(256)
        if rng.random() < 0.2:
            body = body[: rng.randrange(len(body))]
        path = tmp_path / name
        path.write_bytes(body)
        with each.once(f"{name}, seed {number}"):
            found, line = outcome(lambda p=path: read_state(str(p)))
            if found is None:
                assert str(path) in line
            else:
                assert all(isinstance(tensor, torch.Tensor) for tensor in found.values())


# ----------------------------------------------------------------------------- notebooks

CODE = [
    *("__import__('os').mkdir('{}')", '"; __import__("os").mkdir("{}"); "'),
    *("'; __import__('os').mkdir('{}'); '", "\n__import__('os').mkdir('{}')\n"),
    *("\\\"; __import__('os').mkdir('{}') #", '"""; __import__("os").mkdir("{}"); """'),
    *("\r__import__('os').mkdir('{}')", "\u2028__import__('os').mkdir('{}')"),
    *("{{__import__('os').mkdir('{}')}}", "!mkdir {}", "%system mkdir {}", "$(mkdir {})"),
    *("x\\\n__import__('os').mkdir('{}')", "\x00__import__('os').mkdir('{}')", "\\", '\\"', "\\'"),
]


def test_a_parameter_is_never_code(fault, tmp_path):
    each = fault(
        "hostile",
        "a notebook's parameter is made to look like code",
        "it is refused in one line, or stands in the notebook as the text it is",
        full=400,
        few=60,
    )
    search = reproduce.SOURCES / "04_search.ipynb"
    names = list(reproduce.parameters_of(search))
    content = papermill.iorw.load_notebook_node(str(search))
    sprung = tmp_path / "sprung"
    for number in each.rounds:
        code = CODE[number % len(CODE)].format(sprung)
        name = names[number // len(CODE) % len(names)]
        value = [code, [code], {code: code}, (1, code)][number % 4]
        with each.once(f"{name}: {value!r}"):
            output = tmp_path / "out.ipynb"
            refusal(lambda n=name, v=value, o=output: reproduce.execute(search, o, {n: v}))
            refusal(
                lambda c=code, o=output: reproduce.execute(search, o, {c: 1}), "not a parameter"
            )
            assert not output.exists()
            # And were it not refused: what papermill writes has values and nothing else.
            values = {"preset": code, "beam_sizes": [code], "song": {"x": code}}
            made = papermill.parameterize.parameterize_notebook(content, values)
            (cell,) = [c for c in made.cells if "injected-parameters" in c.metadata.tags]
            given = {
                node.targets[0].id: ast.literal_eval(node.value)
                for node in ast.parse(cell.source).body
            }
            assert given == values
            assert not sprung.exists()


# ----------------------------------------------------------------------------- addresses

LOCAL = [
    *("127.0.0.1", "127.1", "127.0.1", "2130706433", "0x7f000001", "0x7f.1", "017700000001"),
    *("0177.0.0.1", "127.000.000.001", "0", "0.0.0.0", "localhost", "LOCALHOST", "localhost."),
    *("１２７.0.0.1", "127。0。0。1", "①②⑦.0.0.1", "[::1]", "[::]", "[0:0:0:0:0:0:0:1]"),
    *("[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::127.0.0.1]", "[::ffff:0:127.0.0.1]"),
    *("[64:ff9b::127.0.0.1]", "[64:ff9b:1::127.0.0.1]", "[2002:7f00:1::]", "[2001:0:7f00:1::]"),
]
PRIVATE = [
    *("10.0.0.1", "10.255.255.255", "172.16.0.1", "172.31.255.254", "192.168.0.1", "100.64.0.1"),
    *("169.254.169.254", "169.254.0.1", "192.0.0.1", "192.0.2.1", "198.18.0.1", "198.51.100.7"),
    *("203.0.113.9", "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255", "167772161"),
    *("0xa9fea9fe", "[fe80::1]", "[fe80::1%25lo]", "[fd00::1]", "[fc00::1]", "[fec0::1]"),
    *("[ff02::1]", "[2001:db8::1]", "[100::1]", "[64:ff9b::10.0.0.1]", "[2002:a00:1::]"),
    "[5f00::1]",
]
FORMS = [
    *("http://{}/x", "http://{}:80/x", "https://{}/x", "http://user:pw@{}/x", "http://8.8.8.8@{}/"),
]
SCHEMES = [
    *("file:///etc/passwd", "file://{}/x", "ftp://{}/x", "gopher://{}:70/x", "dict://{}:11211/x"),
    *("data:image/png,x", "jar:http://{}!/x", "//{}/x", "{}", "javascript:alert(1)", "ldap://{}/"),
    *("unix:///var/run/docker.sock", "http:///x", "http:{}/x", "HTTP+UNIX://{}/x"),
]


@pytest.fixture
def no_network(monkeypatch):
    """No packet leaves: a connection fails the test, and names are looked up in a table."""

    class Watched(socket.socket):
        def connect(self, address):
            pytest.fail(f"connected to {address}")

        connect_ex = connect

    def resolve(host, port, *_, **__):
        # What the system makes of a number it does itself; of names it is asked for one only.
        if host.rstrip(".").lower() == "localhost":
            host = "127.0.0.1"
        return real(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)

    real = socket.getaddrinfo
    monkeypatch.setattr(guarded_http.socket, "socket", Watched)
    monkeypatch.setattr(guarded_http.socket, "getaddrinfo", resolve)


def test_no_picture_is_asked_for_within_the_readers_network(fault, no_network):
    each = fault(
        "hostile",
        "a picture's address points at loopback, a private range, link-local or a file",
        "it is refused before anything is sent, however it is written",
        full=len(LOCAL + PRIVATE) * len(FORMS) + len(SCHEMES),
        few=len(LOCAL + PRIVATE) + len(SCHEMES),
    )
    written = [form.format(host) for form in FORMS for host in LOCAL + PRIVATE]
    first = len(LOCAL + PRIVATE)
    schemes = [scheme.format("127.0.0.1") for scheme in SCHEMES]
    addresses = [*written[:first], *schemes, *written[first:]]
    for number in each.rounds:
        with each.once(addresses[number]):
            with pytest.raises(NotFetchedError) as caught:
                get(addresses[number], Limits(timeout=2.0))
            assert caught.value.reason in (Reason.PRIVATE, Reason.NOT_HTTP, Reason.NO_NAME)


def test_no_redirect_leads_a_download_into_the_readers_network(fault, tmp_path, monkeypatch):
    each = fault(
        "hostile",
        "a download is redirected to loopback, a private range or a file",
        "the address is left, and nothing is asked there",
        full=len(LOCAL + PRIVATE + SCHEMES),
    )
    places = [f"https://{host}/x" for host in LOCAL + PRIVATE]
    places += [scheme.format("127.0.0.1") for scheme in SCHEMES]
    # What only a resolver knows is a name to us: it is asked by the proxy, where there is one.
    for number in each.rounds:
        asked = []

        def away(session, url, asked=asked, where=places[number], **_):
            asked.append(url)
            answer = guarded_http.requests.Response()
            answer.status_code = 302 if len(asked) == 1 else 200
            answer.headers["Location"] = where
            answer.raw = io.BytesIO()
            return answer

        monkeypatch.setattr(guarded_http.requests.Session, "get", away)
        with each.once(places[number]):
            with pytest.raises(Refused):
                Transfer(config=guarded_http.TransferConfig(tries=1))(
                    "https://example.org/x", tmp_path / "x"
                )
            inside = [url for url in asked[1:] if not url.startswith("https://example.org/")]
            assert not inside
