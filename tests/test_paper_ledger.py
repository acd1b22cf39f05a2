"""The ledger holds what the paper prints, every entry has its check, and relations move with it."""

import math
import re

import pytest

from songtitle.errors import InputError
from songtitle.paper.checks import TRIALS
from songtitle.paper.judging import CONTRADICTS, FAILS, HOLDS, ODD, verdicts
from songtitle.paper.ledger import (
    entries,
    floor,
    largest,
    least,
    numbers,
    relate,
    relations,
    worked,
    written,
)
from songtitle.paper.printed import CLAIMS, ledger, paper, paper_table

ROOT = CLAIMS.parents[1]
N = numbers()
ENTRIES = entries(N)
CLAIM_IDS = [each.id for each in ENTRIES if each.kind in ("number", "sentence")]
QUESTIONS = [each for each in ENTRIES if each.kind == "question"]
RELATED = [each for each in ENTRIES if each.kind == "relation"]
CONSTANTS = [each["id"] for each in ledger()["constant"]]
RELATIONS = relations(N)
WEIGHTS = {"number", "method", "outside", "odd"}
BEAMS = [1, 5, 10, 15, 20]


# -- what is printed


@pytest.mark.parametrize(
    ("n", "columns", "rows"),
    [
        (
            1,
            ["examples", "min_length", "max_length", "mean_length", "std_length"],
            [
                [1_000_000, 4, 50, 10.31, 4.67],
                [515_576, 1, 135, 3.09, 1.86],
                [106_573, 1, 28, 2.98, 2.11],
            ],
        ),
        (3, ["msd", "fma"], [[153_588, 79_085], [966, 1_573]]),
        (
            4,
            BEAMS,
            [
                [49.9, 61.3, 51.4, 49.6, 45.3],
                [49.1, 56.4, 49.8, 47.4, 49.1],
                [50.3, 61.1, 53.3, 47.6, 44.2],
                [49.5, 55.4, 48.2, 43.1, 39.9],
                [25.8, 45.6, 41.9, 37.4, 33.9],
                [36.2, 45.1, 41.9, 38.7, 36.9],
            ],
        ),
        (5, ["audiocaps_1", "ours_1", "ours_5"], [[34.1, 25.8, 45.6], [44.2, 36.2, 45.1]]),
    ],
)
def test_a_table_holds_the_printed_numbers(n, columns, rows):
    assert paper_table(n)[columns].to_numpy().tolist() == rows


def test_table_2_quotes_five_titles_of_each_collection():
    table = paper_table(2)
    assert table.shape == (5, 2)
    assert (table.iloc[0, 0], table.iloc[-1, 1]) == ("trouble in mind", "too happy")


def test_sizes_of_tiles_in_table_4_are_whole_numbers_or_nan():
    for row in paper_table(4).itertuples():
        if row.dataset == "Conceptual Captions":
            assert isinstance(row.tile_size, int)
        else:
            assert math.isnan(row.tile_size)
            assert math.isnan(row.tiles)


def test_a_changed_table_does_not_change_the_next_one():
    table = paper_table(4)
    table.loc["fma", 5] = 0.0
    assert paper_table(4).loc["fma", 5] == 45.1


@pytest.mark.parametrize(
    ("id", "value"),
    [
        ("captions.vocabulary", 51_201),
        ("captions.short_share", 93.8),
        ("spectrogram.frames", 2_580),
        ("table4.cc32.5", 61.3),
    ],
)
def test_a_number_has_the_printed_value(id, value):
    assert paper(id) == value


def test_every_number_says_where_it_stands_and_in_what_unit():
    for row in ledger()["number"]:
        assert set(row) == {"id", "where", "value", "unit", "note"}
        assert row["where"]
        assert row["unit"]
    assert all(table["where"] and table["unit"] for table in ledger()["table"])


def test_an_unknown_number_or_table_is_answered_with_the_names_there_are():
    with pytest.raises(InputError, match=r"'caption\.vocab'.*captions\.vocabulary"):
        paper("caption.vocab")

    for n in (0, 6):
        with pytest.raises(InputError, match=r"\[1, 2, 3, 4, 5\]"):
            paper_table(n)


# -- entries


def test_every_number_of_the_five_tables_is_a_claim():
    counts = {n: sum(id.startswith(f"table{n}.") for id in CLAIM_IDS) for n in range(1, 6)}
    # Table 4: six rows of five scores, and size and number of tiles for the four of pictures.
    assert counts == {1: 15, 2: 0, 3: 4, 4: 38, 5: 6}


def test_the_kinds_of_entries_are_as_many_as_the_note_says():
    assert sum(each.kind == "sentence" for each in ENTRIES) >= 35
    assert len(RELATED) >= 50
    assert len(QUESTIONS) == 2


def test_every_entry_has_a_name_of_its_own_says_something_and_what_would_test_it():
    ids = [each.id for each in ENTRIES] + CONSTANTS
    assert len(ids) == len(set(ids))
    assert all(each.where and each.says and each.needs for each in ENTRIES)
    assert {each.weight for each in RELATED} == WEIGHTS


def test_a_claim_is_decided_by_records_or_by_the_paper_s_own_numbers_or_by_nothing_here():
    assert set(TRIALS) <= set(CLAIM_IDS) | {each.id for each in QUESTIONS}
    assert all(trial.sources for trial in TRIALS.values())
    assert set(RELATIONS) <= {each.id for each in RELATED} | set(CLAIM_IDS) - set(TRIALS)
    assert all(RELATIONS.values())


def test_words_without_numbers_are_a_remark_and_never_a_charge():
    for each in RELATED:
        assert (each.id in RELATIONS) != bool(each.quotes), each.id
        assert each.weight == "odd" or not each.quotes, each.id


def test_a_relation_compares_numbers_of_the_ledger_and_none_that_were_typed_into_it():
    known = set(N) | {f"worked.{name}" for name in worked(N)}
    for row in ledger()["sentence"] + ledger()["relation"]:
        for _, left, _, right, *_ in row.get("compare", ()):
            assert left in known, row["id"]
            assert right in known or right == 0, row["id"]  # 0: a difference, or what is left over


def test_no_contradiction_hangs_on_the_size_that_we_gave_a_word():
    wider = numbers({id: 2 * N[id] for id in CONSTANTS if id.startswith("reading.about")})
    for each in verdicts({}):
        if each.kind == "relation" and each.verdict == CONTRADICTS:
            assert not all(relation.holds for relation in relations(wider)[each.id]), each.id
            rests = frozenset().union(*(relation.names for relation in RELATIONS[each.id]))
            sized = {name for name in rests if name.startswith("reading.")}
            assert all(name.startswith("reading.about") for name in sized), each.id


def test_words_on_testing_and_doubts_are_of_claims_and_said_once():
    told = [id for row in ledger()["testing"] for id in row["claims"]]
    assert len(told) == len(set(told))
    rows = {id.rpartition(".")[0] for id in CLAIM_IDS if id.startswith("table")}
    assert set(told) <= set(CLAIM_IDS) | rows
    assert {id for row in ledger()["relation"] for id in row.get("doubts", ())} <= set(CLAIM_IDS)


def test_every_constant_is_named_by_a_check():
    text = "".join(path.read_text("utf-8") for path in (ROOT / "songtitle" / "paper").glob("*.py"))
    told = ledger()["sentence"] + ledger()["relation"]
    compared = {each for row in told for line in row.get("compare", ()) for each in line}
    assert not [id for id in CONSTANTS if f'"{id}"' not in text and id not in compared]
    assert {f"worked.{name}" for name in worked(N)} <= compared


def test_every_place_that_decides_has_the_anchor_that_is_named():
    for place in {place for each in ENTRIES for place in each.pages}:
        assert re.fullmatch(r"\d\d_\w+#(tab|fig)-[\w-]+", place)
        name, anchor = place.split("#")
        text = (ROOT / "notebooks" / f"{name}.py").read_text("utf-8")
        assert f'name="{anchor}"' in text or f'"name": "{anchor}"' in text, place


# -- relations


@pytest.mark.parametrize(
    ("number", "value", "shown"),
    [
        (N["table4.msd.5"] + 2 * N["timbre.dim"], 225.6, "45.6 + 2 × 90"),
        ((1 - N["table4.msd.5"] / 60) ** 2, 0.0576, "(1 − 45.6 / 60) ^ 2"),
        (5 / (N["table4.msd.5"] / N["table4.msd.1"]), 2.8289, "5 / (45.6 / 25.8)"),
        (1 - (N["image.crop"] - 6), -249, "1 − (256 − 6)"),
        (floor(N["timbre.dim"] / 4) - 0.5, 21.5, "floor(90 / 4) − 0.5"),
        (largest(least(N["timbre.dim"], 7), 4), 7, "max(min(90, 7), 4)"),
    ],
)
def test_a_number_shows_how_it_was_worked_out(number, value, shown):
    assert math.isclose(number, value, abs_tol=1e-4)
    assert number.shown == shown


def test_a_number_knows_the_names_of_those_that_it_was_made_of():
    made = floor(largest(N["timbre.dim"], 1) / N["timbre.means"]) + 1
    assert made.names == {"timbre.dim", "timbre.means"}
    assert relate("x", 1, "=", 2, made).names == made.names


@pytest.mark.parametrize(
    ("sign", "right", "within", "holds"),
    [
        ("=", 0.3, 0, True),  # 0.1 + 0.2 is not 0.3 in binary
        ("=", 0.4, 0.1, True),
        ("=", 0.4, 0.09, False),
        ("≤", 0.3, 0, True),
        ("<", 0.3, 0, False),
        (">", 0.2, 0, True),
        ("≥", 0.31, 0, False),
    ],
)
def test_a_relation_is_exact_for_printed_decimals(sign, right, within, holds):
    assert relate("x", 0.1 + 0.2, sign, right, within).holds is holds


# What has to be otherwise for a broken relation to hold, or (below) for a sound one to break.
MENDED = {
    "test_vocabulary": {"titles.msd.test_vocabulary": 966},
    "rows_without_timbre": {"titles.msd.examples": 515_345},
    "fma_tracks": {"table1.fma.examples": 106_574},
    "pruned_vocabulary": {"captions.vocabulary": 50_000},
    "caption_deviation": {"table1.cc.std_length": 4.5},
    "spectrogram_shape": {"spectrogram.window": 1_024, "spectrogram.n_fft": 512},
    "input_size": {"outside.clip_long": 1_321_967},
    "encoder_name": {"outside.inception_resnet_width": 2_048},
    "pooled_width": {"encoder.dim": 2_048},
    "word_vectors": {"training.hidden_size": 300},
    "dropout": {"training.layers": 2},
    "cpu_training": {"training.epochs": 1},
    "climb_of_songs": {"table4.fma.1": 27},
    "diminishing_returns": {"table4.msd.10": 46},
    "rise_at_twenty": {"table4.cc64.20": 44.1},
    "rate_drop": {"search.msd_rate_drop": 2.5, "table4.msd.1": 45},
    "slightly_behind": {"table5.mfcc.ours_1": 33, "table5.spectrogram.ours_1": 43},
    "audiocaps_references": {"outside.audiocaps_references": 1},
    "first_of_its_kind": {"paper.year": 2015},
    "whole_picture_last": {"table4.cc256.5": 60},
    "crop_share": {"image.min_side": 300},
    "widened_timbre": {"encoder.dim": 540},
    "moderately_lower": {"table4.msd.5": 60},
    "lossless": {"clip.bit_rate": 1_500},
    "lossy_but_ahead": {"table4.fma.5": 46},
    "spectrogram_matches_worse": {f"table4.msd.{k}": 40 for k in (1, 15, 20)},
}
BROKEN = {
    "small_inputs": {"outside.adaptive_pooling": 2021},
    "headline_gap": {"headline.gap": 16.2},
    "timbre_edge": {"table4.fma.5": 46},
    "controlled_slope": {"table4.cc32.1": 20},
    "peaks": {"table4.fma.10": 46},
    "songs_at_the_bottom": {"table4.fma.15": 44},
    "identical_lengths": {"table1.fma.mean_length": 2.4},
    "over": {"table1.fma.examples": 99_000},
    "dated_songs": {"titles.msd.examples": 515_345},
    "years": {"titles.msd.last_year": 2020},
    "splits": {"captions.test": 12_560},
    "samples": {"clip.sample_rate": 48_000},
    "timbre": {"timbre.means": 11},
    "tiles": {"table4.cc64.tiles": 15},
    "advantages": {"audiocaps.spectrogram_advantage": 1.9},
    "timbre_gain": {"search.msd_gain": 2.8},
    "clips": {"clip.genres": 16},
    "repeated_scores": {"headline.out_domain": 45.6},
    "repeated_counts": {"captions.sampled": 100_000},
}
CHANGES = {f"relation.{name}": change for name, change in {**MENDED, **BROKEN}.items()}


def test_every_relation_between_numbers_is_tried_below():
    assert {each.id for each in RELATED if not each.quotes} == set(CHANGES)


@pytest.mark.parametrize("id", CHANGES)
def test_the_verdict_of_a_relation_changes_with_a_number_of_the_ledger(id):
    assert set(CHANGES[id]) <= set(N)
    before, after = (
        next(each for each in verdicts({}, numbers(other)) if each.id == id)
        for other in ({}, CHANGES[id])
    )
    broken = {"outside": FAILS, "odd": ODD}.get(before.weight, CONTRADICTS)
    sound = id.removeprefix("relation.") in BROKEN
    assert (before.verdict, after.verdict) == ((HOLDS, broken) if sound else (broken, HOLDS))


def test_what_is_shown_of_a_relation_has_its_numbers_in_it():
    gap = N["headline.in_domain"] - N["headline.out_domain"]
    text = relate("gap", gap, "=", N["headline.gap"], 0.05).text
    assert text == "gap: (61.3 − 45.1 = 16.2) = 15.7 within 0.05? no"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (2011.0, "2011"),
        (1_323_000.0, "1,323,000"),
        (45.6, "45.6"),
        (2.0 / 3, "0.667"),
        (1.001, "1"),
    ],
)
def test_a_number_is_written_as_readers_want_it(value, text):
    assert written(value) == text
