"""The ledger is whole, every entry has its check, and relations move with its numbers."""

import math
import re

import pytest

from songtitle.paper.judging import VERDICTS, verdict
from songtitle.paper.ledger import (
    above,
    at_least,
    at_most,
    below,
    equal,
    everything_said,
    floor,
    inconsistencies,
    largest,
    least,
    numbers,
    sources,
    written,
)
from songtitle.paper.printed import CLAIMS
from songtitle.paper.relations import relations
from songtitle.paper.trials import trials

N = numbers()
SAID, ENTRIES = everything_said(N), inconsistencies()
RELATIONS, TRIALS = relations(N), trials(N)
WEIGHTS = {"number", "method", "wording", "outside", "odd", "agrees"}


def test_every_number_of_the_five_tables_is_a_claim():
    counts = {n: sum(said.id.startswith(f"table{n}.") for said in SAID) for n in range(1, 6)}
    # Table 4: six rows of five scores, and size and number of tiles for the four of pictures.
    assert counts == {1: 15, 2: 0, 3: 4, 4: 38, 5: 6}


def test_there_are_about_three_dozen_sentences_and_thirty_four_inconsistencies():
    assert sum(said.kind == "sentence" for said in SAID) >= 35
    assert sum(each.weight != "agrees" for each in ENTRIES) == 34
    assert sum(each.weight == "agrees" for each in ENTRIES) >= 8


def test_every_entry_has_a_name_of_its_own_and_says_something():
    ids = [each.id for each in (*SAID, *ENTRIES)] + list(sources())
    assert len(ids) == len(set(ids))
    assert all(each.where and each.says for each in (*SAID, *ENTRIES))
    assert all(each.here and each.weight in WEIGHTS for each in ENTRIES)


def test_every_claim_has_a_trial_and_every_trial_a_claim():
    assert set(TRIALS) == {said.id for said in SAID}
    assert all(trial.needs for trial in TRIALS.values())
    assert all(bool(trial.check) == bool(trial.reads) for trial in TRIALS.values())


def test_every_inconsistency_has_relations_and_doubts_only_claims():
    claims = {said.id for said in SAID}
    assert {each.id for each in ENTRIES} <= set(RELATIONS) <= {e.id for e in ENTRIES} | claims
    assert all(set(each.doubts) <= claims for each in ENTRIES)
    assert all(not TRIALS[id].check for id in RELATIONS if id in TRIALS)


def test_every_constant_is_named_by_a_check():
    folder = CLAIMS.parents[1] / "songtitle" / "paper"
    text = "".join((folder / f"{name}.py").read_text("utf-8") for name in ("relations", "trials"))
    for name in sources():
        assert f'n["{name}"]' in text, name


def test_every_page_that_decides_has_the_anchor_that_is_named():
    notebooks = CLAIMS.parents[1] / "notebooks"
    for page in {each.page for each in (*ENTRIES, *TRIALS.values())}:
        assert re.fullmatch(r"\d\d_\w+#(tab|fig)-[\w-]+", page)
        name, anchor = page.split("#")
        text = (notebooks / f"{name}.py").read_text("utf-8")
        assert f'name="{anchor}"' in text or f'"name": "{anchor}"' in text, page


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
    assert equal("x", 1, 2, within=made).names == made.names


@pytest.mark.parametrize(
    ("relate", "right", "within", "holds"),
    [
        (equal, 0.3, 0, True),  # 0.1 + 0.2 is not 0.3 in binary
        (equal, 0.4, 0.1, True),
        (equal, 0.4, 0.09, False),
        (at_most, 0.3, None, True),
        (below, 0.3, None, False),
        (above, 0.2, None, True),
        (at_least, 0.31, None, False),
    ],
)
def test_a_relation_is_exact_for_printed_decimals(relate, right, within, holds):
    options = {} if within is None else {"within": within}
    assert relate("x", 0.1 + 0.2, right, **options).holds is holds


# What would have to be printed instead for the paper to agree with itself, or (below) to disagree.
MENDED = {
    "test_vocabulary": {"titles.msd.test_vocabulary": 966},
    "rows_without_timbre": {"titles.msd.examples": 515_345},
    "join_without_key": {"outside.uci_columns": 92},
    "fma_tracks": {"table1.fma.examples": 106_574},
    "pruned_vocabulary": {"captions.vocabulary": 50_000},
    "caption_deviation": {"table1.cc.std_length": 4.5},
    "spectrogram_shape": {"spectrogram.window": 1_024, "spectrogram.n_fft": 512},
    "input_size": {"outside.clip_long": 1_321_967},
    "sampling_rate": {"reading.all": 0.9},
    "encoder_name": {"outside.inception_resnet_width": 2_048},
    "pooled_width": {"encoder.dim": 2_048},
    "word_vectors": {"training.hidden_size": 300},
    "dropout": {"training.layers": 2},
    "small_inputs": {"table4.cc32.tile_size": 224, "image.crop": 224},
    "cpu_training": {"training.epochs": 1},
    "out_domain": {"paper.meanings_of_out_domain": 1},
    "validation_split": {"captions.hidden_splits": 0},
    "headline_gap": {"headline.gap": 16.2},
    "timbre_edge": {f"table4.msd.{k}": 46 for k in (1, 5, 10, 15, 20)},
    "climb_of_songs": {"table4.fma.1": 27},
    "steeper_descent": {"table4.cc64.10": 55},
    "diminishing_returns": {"table4.msd.10": 46},
    "rise_at_twenty": {"table4.cc64.20": 44.1},
    "rate_drop": {"search.msd_rate_drop": 2.5, "table4.msd.1": 45},
    "slightly_behind": {"table5.mfcc.ours_1": 33, "table5.spectrogram.ours_1": 43},
    "audiocaps_references": {"outside.audiocaps_references": 1},
    "first_of_its_kind": {"paper.year": 2015},
    "clean_titles": {"paper.named_titles": 0, "paper.odd_words": 0},
    "whole_picture_last": {"table4.cc256.5": 60},
    "crop_share": {"image.min_side": 300},
    "widened_timbre": {"encoder.dim": 540},
    "contained_on_a_map": {"paper.map_settings": 1},
    "moderately_lower": {"table4.msd.5": 60, "paper.caption_systems": 1},
    "identical_lengths": {"table1.fma.mean_length": 3.09},
}
BROKEN = {
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
CHANGES = {f"inconsistency.{name}": change for name, change in MENDED.items()}
CHANGES |= {f"consistency.{name}": change for name, change in BROKEN.items()}


def test_every_inconsistency_is_tried_below():
    assert {each.id for each in ENTRIES} == set(CHANGES)


@pytest.mark.parametrize("id", CHANGES)
def test_the_verdict_of_an_inconsistency_changes_with_a_number_of_the_ledger(id, tmp_path):
    assert set(CHANGES[id]) <= set(N)
    before, after = (verdict(id, tmp_path, numbers(other)) for other in ({}, CHANGES[id]))
    holds, _, _, inconsistent = VERDICTS
    agrees = before.weight == "agrees"
    expected = (holds, inconsistent) if agrees else (inconsistent, holds)
    assert (before.verdict, after.verdict) == expected


def test_what_is_shown_of_a_relation_has_its_numbers_in_it():
    gap = N["headline.in_domain"] - N["headline.out_domain"]
    text = equal("gap", gap, N["headline.gap"], within=0.05).text
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
