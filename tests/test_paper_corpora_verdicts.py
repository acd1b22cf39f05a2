"""Records of the paper's corpora give every claim a verdict, and other such records the other one.

Two sets of records are made, each of the published ones, with other values and with the word that
says that they are made on the paper's corpora. In one all is as the paper prints it, as far as that
fits together; in the other nothing is.
"""

import json
import math

import pytest

from songtitle.paper.judging import (
    BEYOND,
    CONTRADICTS,
    FAILS,
    HOLDS,
    OPEN,
    OUTSIDE,
    OWN,
    RESULTS,
    verdicts,
)
from songtitle.paper.ledger import BEAMS, entries, numbers, relations

N = numbers()
ENTRIES = [each for each in entries(N) if each.kind in ("number", "sentence")]
CLAIMS = [each.id for each in ENTRIES if not each.beyond and each.id not in relations(N)]
# What no record could decide.
EXEMPT = {
    # Only the author knows what was set, drawn or met in that run.
    "author": """
        captions.sampled captions.short_length titles.short_length table1.cc.examples
        titles.msd.test_vocabulary titles.fma.test_vocabulary titles.test_tracks
        table3.test.msd table3.test.fma cleaning.dictionary_words captions.dead_links
        spectrogram.n_fft spectrogram.window spectrogram.bins spectrogram.frames
        image.crop encoder.depth encoder.dim encoder.classes
        training.hidden_size training.dropout training.learning_rate training.epochs
        training.layers training.workers training.pytorch search.beam_sizes
        table4.cc32.tile_size table4.cc64.tile_size table4.cc128.tile_size table4.cc256.tile_size
        table4.cc32.tiles table4.cc64.tiles table4.cc128.tiles table4.cc256.tiles
    """,
    # Of other collections and other people's work, or of what no stage counts.
    "unmeasured": """
        captions.examples captions.test captions.splits captions.hidden_splits captions.web_pages
        captions.no_names im2txt.captions coco.pictures audiocaps.clips audiocaps.no_music
        table5.mfcc.audiocaps_1 table5.spectrogram.audiocaps_1
        clip.bit_rate clips.most_at_320 titles.length_helps search.space_linear
    """,
    # An mp3 file has no bit depth; any cost may be called reasonable.
    "nothing": "clip.bit_depth search.reasonable_cost",
}
SONGS = {"songs: timbre": "msd", "songs: spectrogram": "fma"}
PICTURES = {f"pictures {side}×{side}": f"cc{side}" for side in (32, 64, 128, 256)}
ROWS = SONGS | PICTURES
FACTORS = {"table1.cc": 0.1, "table1.msd": 1.5, "table1.fma": 4.0, "clip.tracks": 0.5}


def other(id, value):
    """Another number than the ledger's; scores are turned upside down."""
    if id.startswith("table4"):
        return 82 - value
    return value * FACTORS.get(id, FACTORS.get(id.rpartition(".")[0], 1 / 3))


def ends(value, name="score", width=1e-5):
    """A value with a narrow interval, as a row of a record has it."""
    lead = "" if name in ("score", "value") else f"{name}_"
    return {name: value, f"{lead}low": value - width, f"{lead}high": value + width}


def lengths(n, row, limit, share, *rare):
    """A histogram with a row of Table 1, with `share` percent up to a limit, and rare lengths."""
    low, high, mean, deviation = (
        n[f"table1.{row}.{name}_length"] for name in ("min", "max", "mean", "std")
    )
    once, count = (low, high, *rare), 100_000
    rest = count - len(once)
    short = round(min(share / 100, 0.99) * count) - sum(each <= limit for each in once)
    mean = (count * mean - sum(once)) / rest
    square = (count * (deviation**2 + n[f"table1.{row}.mean_length"] ** 2)) - sum(
        each**2 for each in once
    )
    spread, odds = math.sqrt(square / rest - mean**2), (rest - short) / short
    two = {mean - spread * math.sqrt(odds): short, mean + spread / math.sqrt(odds): rest - short}
    return {str(float(length)): times for length, times in (dict.fromkeys(once, 1) | two).items()}


def texts(n, row, limit, share, words, *rare):
    counted = {"lengths": lengths(n, row, limit, share, *rare), "distinct_words": words}
    return {"as_written": counted, "cleaned": counted}


def census(n, so):
    """What records of the census say of the numbers `n`, and of sentences that are `so` or not."""
    captions = texts(n, "cc", 15, n["captions.short_share"], n["captions.vocabulary"])
    rare = n["titles.msd.second_longest"]
    dated = texts(n, "msd", 5, n["titles.msd.short_share"], n["table3.total.msd"], rare)
    fma = texts(n, "fma", 5, n["titles.fma.short_share"], n["table3.total.fma"])
    years = [n["titles.msd.first_year"], n["titles.msd.last_year"]]
    samples = dict.fromkeys(range(int(n["clip.samples"]), int(n["clip.samples"]) + 2 - so), 9)
    return {
        "captions": captions | {"rows": n["captions.train"]},
        "captions_valid": captions,
        "dated_songs": dated | {"rows": n["titles.msd.examples"]},
        "fma_tracks": fma
        | {"rows": n["table1.fma.examples"], "artists": n["titles.fma.artists_about"]},
        "song_titles": {"rows": n["titles.msd.collection"]},
        "fma_small": {"genres": n["clip.genres"], "files": n["clip.tracks"]},
        "links": {"asked": n["captions.valid"]},
        "pictures": {"reasons": {} if so else {"too small": 7}},
        "joins": {"every": 1, "years_by_row": {"titles, sorted by year": years}},
        "timbre": {"numbers": n["timbre.dim"], "largest_difference": 5e-6 if so else 1.0},
        "clips": {"samples": samples}
        | {name: {str(n[f"clip.{name}"]): 10} for name in ("sample_rate", "channels")},
    }


def runs(n, so):
    """What records of stages say, in the same way; `scores` with the seconds of each cell."""
    # As long as five beams must take for what the paper says of timbre.
    much = N["search.msd_rate_drop"] * N["table4.msd.5"] / N["table4.msd.1"]

    def seconds(row, k):
        if so:
            return 1 + (much - 1) * (k - 1) / 4 if row == "msd" else k
        return 1 if row == "msd" else k**2

    cells = [
        {"input": name, "beam_size": k, "chance": 0.1, "seconds": seconds(row, k)}
        | ends(n[f"table4.{row}.{k}"] / 100)
        | ends(0.05 if so else 0.0, "gain")
        for name, row in ROWS.items()
        for k in BEAMS
    ]
    trained = [cell for cell in cells if cell["input"] in SONGS and cell["beam_size"] in (1, 5)]
    summary = [
        cell | {"seeds": 5, "score_low": cell["low"], "score_high": cell["high"]}
        for cell in trained
    ]
    falls = [10 - epoch if so else abs(epoch - 6) for epoch in range(10)]
    networks = [
        {"encoder": encoder, "decoder": decoder, "backbone_parameters": size}
        | ends(0.3 + (decoder == "attention") * (0.01 if so else 0.1) + (not so) * size / 100)
        for encoder, size in (("small", 1), ("large", 9))
        for decoder in ("lstm", "attention")
    ]
    inside = {"timbre_raw": 0.99 if so else 0.5, "spectrogram": 0.5 if so else 0.99}
    return {
        "scores": {"rows": cells},
        "replicates": {
            "rows": [cell | {"seed": seed} for cell in trained for seed in range(5)],
            "summary": summary,
        },
        "training": {
            "history": [
                {"train_perplexity": 2 + fall, "valid_perplexity": 3 + fall} for fall in falls
            ]
        },
        "comparison": {"rows": networks},
        "vocabulary": {"known": {"distinct words": 0.9 if so else 0.1}},
        "likeness": {
            "kinds": {kind: {"inside": ends(value, "value")} for kind, value in inside.items()}
        },
    }


LIKE = {"captions": "captions_valid", "pictures": "links"}  # not published, but of one form


def write(folder, name, result, **settings):
    """A published record with other findings and settings."""
    kind, stage = name.split("/")
    like = f"{'census' if kind == 'census' else 'quick'}/{LIKE.get(stage, stage)}.json"
    record = json.loads((RESULTS / like).read_text("utf-8"))
    record["result"] |= result
    record["settings"] |= settings
    record["config"] = {"runs": ["runs/one"]}  # learnt from all of the pictures
    path = folder / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record), "utf-8")


def made(folder, corpora, *, so):
    """A folder of records; where they say `so`, what the paper says."""
    n = N if so else {id: other(id, value) for id, value in N.items()}
    for stage, found in census(n, so).items():
        write(folder, f"census/{stage}", found, found="data home", corpora=corpora)
    for stage, found in runs(n, so).items():
        write(folder, f"paper_literal/{stage}", found, corpora=corpora)
    cells = runs(n, so)["scores"]["rows"]
    names = ("input", "beam_size", "score", "seconds")
    table = [",".join(names), *(",".join(str(cell[name]) for name in names) for cell in cells)]
    (folder / "paper_literal" / "table_4.csv").write_text("\n".join(table), "utf-8")
    if corpora != "rehearsal":
        sizes = [5, 10, 20, 40]
        line = {"what": "beam search", "against": "k", "sizes": sizes}
        line["values"] = [size if so else size**2 for size in sizes]
        growth = [line | {"unit": "seconds"}]
        (folder / "benchmarks").mkdir()
        (folder / "benchmarks" / "beam.json").write_text(json.dumps({"growth": growth}))
    return folder


@pytest.fixture(scope="module")
def judged(tmp_path_factory):
    """Of each claim its verdict by either set of records."""
    found = [
        verdicts(made(tmp_path_factory.mktemp("made"), "paper", so=so), N) for so in (True, False)
    ]
    return {one.id: (one, two) for one, two in zip(*found, strict=True)}


@pytest.mark.parametrize("id", CLAIMS)
def test_records_of_the_paper_s_corpora_turn_every_claim_either_way(judged, id):
    assert {each.verdict for each in judged[id]} == {HOLDS, FAILS}
    told = {each.scope for each in judged[id]}
    assert told <= {"the paper's own data", "a sample of the paper's data"}


def test_what_no_record_could_decide_is_said_with_its_reason_and_is_nothing_else(judged):
    known = {id: reason for reason, ids in EXEMPT.items() for id in ids.split()}
    assert {each.id: each.beyond for each in ENTRIES if each.beyond} == known
    for id in known:
        for each in judged[id]:
            assert each.verdict in (OPEN, CONTRADICTS), id
            assert each.why.startswith(BEYOND) == (each.verdict == OPEN), id


def test_a_rehearsal_of_the_same_records_decides_nothing(tmp_path):
    for each in verdicts(made(tmp_path, "rehearsal", so=True), N):
        assert not each.records or each.verdict not in (HOLDS, FAILS), each.id
        assert each.scope in ("", OWN, OUTSIDE), each.id
