"""Broken media: files broken by seed, and read in a process of its own, which may die of them.

    python tests/faults/broken_media.py FOLDER

reads lines of a kind and a seed from standard input, breaks one of that kind in `FOLDER/whole`, and
answers in a line of JSON what was wrong with the way it was read. The same kind and seed make the
same file again, which stays in `FOLDER` until the next of that kind.
"""

import json
import os
import re
import sys
import zlib
from contextlib import suppress
from pathlib import Path

import numpy as np
import soundfile
from PIL import Image

from benchmarks.harness import peak_memory
from songtitle.corpora import tunes
from songtitle.errors import InputError
from songtitle.pictures import load_picture, load_view
from songtitle.sound import load_clip, pages_of, quiet_decoder
from songtitle.sound import page_checksum as checksum

STATIC = Path(__file__).parents[2] / "book" / "_static"
KINDS = ("mp3", "ogg", "png", "jpg", "svg", "abc")
SAFE = 6 << 30  # bytes of data, after which allocation fails: other processes want some too
EXTREMES = (b"0", b"-1", b"0.5", b"99999", b"1e9", b"1e-9", b"1e400", b"nan", b"9" * 5000)

DRAWINGS = ("logo.svg", "cover.svg")
DRAWING = """<svg xmlns="http://www.w3.org/2000/svg" width="120" height="80" viewBox="0 0 60 40">
<defs><linearGradient id="a"><stop offset="0" stop-color="#123"/><stop offset="1" stop-color="red"/>
</linearGradient><filter id="b"><feGaussianBlur stdDeviation="2"/></filter>
<pattern id="c" width="4" height="4" patternUnits="userSpaceOnUse"><circle r="1.5"/></pattern>
</defs>
<rect width="30" height="20" rx="3" fill="url(#a)" filter="url(#b)"/>
<path d="M5 30 C 20 5, 40 5, 55 30 S 70 10 20 38 Z" fill="url(#c)" stroke="#0a5" stroke-width="2"
 stroke-dasharray="4 1"/><use href="#d" x="10" y="5"/><g id="d" transform="rotate(20) scale(0.5)">
<ellipse cx="50" cy="10" rx="9" ry="4" opacity="0.5"/><text x="5" y="9" font-size="6">a song</text>
</g></svg>"""
TUNES = """X:1
T:Garden of Daisies, The
M:4/4
L:1/8
Q:1/4=160
K:D
|:"D"DEFG {a}ABcd|d2A2 (3FED C2:|[1 A>B c/d/e|[2 [DFA]4|]

X:23
T:Blue Hare
M:6/8
L:1/16
K:Gm
V:1
!p!G2A2B2 ~c6|z4 ^f2 =e,6-|e,6 G'12|]
w: la la la
"""


def make(folder):
    """Whole files to break, three of each kind, in `folder/whole`."""
    whole = folder / "whole"
    whole.mkdir()
    songs = tunes.load()[:3]
    for number, tune in enumerate(songs):
        path = whole / f"{number}.mp3"
        tunes.render(tune, path, program=tunes.PROGRAMS[number], duration=2.0)
        sound, rate = soundfile.read(path)
        soundfile.write(whole / f"{number}.ogg", sound[:, : 1 + number % 2], rate)
    wave = np.random.default_rng(0).integers(0, 256, (40, 60, 4), dtype=np.uint8)
    smooth = Image.fromarray(wave, "RGBA").resize((150, 100))
    for number, mode in enumerate(("RGB", "RGBA", "P")):
        smooth.convert(mode).save(whole / f"{number}.png")
        grey = smooth.convert("L" if number == 1 else "RGB")
        grey.save(whole / f"{number}.jpg", progressive=number == 2)
    for number, text in enumerate((DRAWING, *((STATIC / f).read_text() for f in DRAWINGS))):
        (whole / f"{number}.svg").write_text(text)
    for number, text in enumerate((TUNES, songs[0].abc + "\n" + songs[1].abc, songs[2].abc)):
        (whole / f"{number}.abc").write_text(text)


def broken(kind, seed, whole):
    """A file of a kind, broken in one to three ways."""
    rng = np.random.default_rng([KINDS.index(kind), seed])
    files = [path.read_bytes() for path in sorted(whole.glob(f"*.{kind}"))]
    content, other = (files[place] for place in rng.integers(len(files), size=2))
    for way in rng.choice(len(WAYS), size=rng.integers(1, 4)):
        content = WAYS[way](rng, content, other)
    # What fails its checksum is not looked at any further; so half of them pass.
    return sealed(content) if rng.random() < 0.5 else content


def cut_off(rng, content, other):
    return content[: _place(rng, content)]


def bits_flipped(rng, content, other):
    found = bytearray(content)
    for _ in range(int(rng.integers(1, 65))):
        if found:
            found[_place(rng, found) - 1] ^= 1 << int(rng.integers(8))
    return bytes(found)


def spliced(rng, content, other):
    return content[: _place(rng, content)] + other[_place(rng, other) :]


def block_zeroed(rng, content, other):
    start, end = _block(rng, content)
    return content[:start] + bytes(end - start) + content[end:]


def block_repeated(rng, content, other):
    start, end = _block(rng, content)
    return content[:end] + content[start:end] * int(rng.integers(1, 20)) + content[end:]


def header_lies(rng, content, other):
    """Of text, one number is another; of bytes, up to four fields of the first hundred."""
    with suppress(UnicodeDecodeError):
        numbers = list(re.finditer(r"\d+(?:\.\d+)?", content.decode()))
        if numbers:
            text = content.decode()
            one = numbers[rng.integers(len(numbers))]
            lie = EXTREMES[rng.integers(len(EXTREMES))].decode()
            return (text[: one.start()] + lie + text[one.end() :]).encode()
    head = bytearray(content[:100])
    for _ in range(int(rng.integers(1, 5))):
        size = int(rng.choice([1, 2, 4]))
        place = int(rng.integers(max(1, len(head) - size)))
        lies = (bytes(size), b"\xff" * size, b"\x7f" + b"\xff" * (size - 1), rng.bytes(size))
        head[place : place + size] = lies[rng.integers(len(lies))]
    return bytes(head) + content[100:]


WAYS = (cut_off, bits_flipped, spliced, block_zeroed, block_repeated, header_lies)


def sealed(content):
    """The same with the checksums of its PNG chunks or Ogg pages made right, as far as they go."""
    if content[:4] == b"OggS":
        pages = []
        with suppress(InputError):
            for page in pages_of(content):
                plain = page[:22] + bytes(4) + page[26:]
                pages.append(page[:22] + checksum(plain).to_bytes(4, "little") + page[26:])
        done = b"".join(pages)
        return done + content[len(done) :]
    done = content[:8]
    while content[1:4] == b"PNG" and len(done) + 12 <= len(content):
        end = len(done) + 8 + int.from_bytes(content[len(done) : len(done) + 4])
        if end + 4 > len(content):
            break
        done += content[len(done) : end] + zlib.crc32(content[len(done) + 4 : end]).to_bytes(4)
    return done + content[len(done) :]


def _place(rng, content):
    return int(rng.integers(1, len(content) + 1)) if content else 0


def _block(rng, content):
    return sorted((_place(rng, content), _place(rng, content)))


def sound(path, seed):
    wave = load_clip(path, sample_rate=22_050, duration=None if seed % 2 else 30.0)
    assert wave.ndim == 1
    assert len(wave)
    assert wave.isfinite().all()


def picture(path, seed):
    seen = load_view(path, 64) if seed % 2 else load_picture(path, short_side=64)
    assert seen.shape[0] == 3
    assert 0 <= float(seen.min()) <= float(seen.max()) <= 1


def sheets(path, seed):
    """Every tune of a book is played, or refused by a name that begins with that of the book."""
    refused = None
    for tune in tunes.read_book(path.read_bytes(), str(path)):
        try:
            tunes.render(tune, path.with_suffix(".out.mp3"), program=0, duration=1.0)
        except InputError as error:
            refused = error
    if refused:
        raise refused


READ = {"mp3": sound, "ogg": sound, "svg": picture, "png": picture, "jpg": picture, "abc": sheets}


def fault_of(path, seed):
    """What is wrong with the way a file was read; nothing where it gave a result or an error."""
    try:
        READ[path.suffix[1:]](path, seed)
    except InputError as error:
        named = str(path) in str(error) and "expected" in str(error)
        return "" if named and "\n" not in str(error) else f"another message: {error}"
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return ""


def main(folder):
    """Answer, until nothing more is asked."""
    with suppress(ImportError):  # Windows has no such limits
        import resource

        resource.setrlimit(resource.RLIMIT_DATA, (SAFE, SAFE))
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # decoders in C may say what they like
    with quiet_decoder():
        print("{}", file=answers, flush=True)
        for line in sys.stdin:
            kind, seed = line.split()
            path = folder / f"broken.{kind}"
            path.write_bytes(broken(kind, int(seed), folder / "whole"))
            answer = {"fault": fault_of(path, int(seed)), "peak": peak_memory()}
            print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
