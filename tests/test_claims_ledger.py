"""The ledger is whole, and refuses what is not; its arithmetic moves with its numbers."""

from dataclasses import replace

import pytest

from songtitle.claims import CLAIMS, VERDICTS, arithmetic, judging, read_ledger
from songtitle.claims.arithmetic import Relation, evaluate, work
from songtitle.claims.checks import CHECKS
from songtitle.errors import InputError

SMALL = """
[[number]]
id = "a.b"
where = "section 1"
value = 3
unit = "words"
note = ""

[[table]]
number = 9
where = "Table 9"
title = "t"
unit = "words"
columns = ["name", "1"]
rows = [["r", "row", 5.0]]

[[sentence]]
id = "a.holds"
where = "section 2"
says = "It holds."

[[constant]]
id = "outside.c"
value = 3
unit = "words"
source = "elsewhere"

[[test]]
of = ["a.*", "table9.*"]
check = "stated"
page = "04_search#tab-4"
needs = "More."

[[inconsistency]]
id = "inconsistency.x"
where = "section 1"
says = "Three."
here = "Nothing."
weight = "number"
page = "04_search#tab-4"
relations = [["words", "{a.b}", "==", "{outside.c}"]]
doubts = ["a.b"]
"""

TWICE = SMALL[SMALL.index("[[test]]") : SMALL.index("[[inconsistency]]")] + "[[inconsistency]]"


@pytest.fixture(scope="module")
def ledger():
    return read_ledger()


def written(folder, text):
    path = folder / "claims.toml"
    path.write_text(text, "utf-8")
    return path


def test_every_number_of_the_five_tables_is_a_claim_with_a_test(ledger):
    counts = {
        n: sum(claim.id.startswith(f"table{n}.") for claim in ledger.claims) for n in range(1, 6)
    }
    # Table 4: six rows of five scores, and size and number of tiles for the four of pictures.
    assert counts == {1: 15, 2: 0, 3: 4, 4: 38, 5: 6}
    assert all(claim.test.check and claim.test.needs for claim in ledger.claims)


def test_there_are_about_three_dozen_sentences_and_thirty_four_inconsistencies(ledger):
    kinds = [claim.kind for claim in ledger.claims]
    assert kinds.count("sentence") >= 35
    broken = [each for each in ledger.inconsistencies if each.weight != "agrees"]
    assert len(broken) == 34
    assert len(ledger.inconsistencies) - len(broken) >= 8


def test_every_check_is_used_and_every_constant_is_named(ledger):
    used = {claim.test.check for claim in ledger.claims}
    assert used >= set(CHECKS)
    text = CLAIMS.read_text("utf-8")
    for name in ledger.sources:
        assert text.count(f"{{{name}}}") > 0, name


def test_every_page_that_decides_has_the_anchor_that_is_named(ledger):
    notebooks = CLAIMS.parents[1] / "notebooks"
    pages = {each.page for each in ledger.inconsistencies}
    for page in pages | {claim.test.page for claim in ledger.claims}:
        name, anchor = page.split("#")
        text = (notebooks / f"{name}.py").read_text("utf-8")
        assert f'name="{anchor}"' in text or f'"name": "{anchor}"' in text, page


def test_a_small_ledger_is_read_whole(tmp_path):
    small = read_ledger(written(tmp_path, SMALL))
    assert [claim.id for claim in small.claims] == ["a.b", "table9.r.1", "a.holds"]
    assert small.numbers == {"outside.c": 3.0, "a.b": 3.0, "table9.r.1": 5.0}


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('check = "stated"', 'check = "guessed"', "a check out of within"),
        ('needs = "More."', "", "missing .'needs'."),
        ('needs = "More."', 'needs = ""', "missing .'needs'."),
        ('id = "a.holds"', 'id = "a.b"', "a.b: expected one entry of this name, got two"),
        ('of = ["a.*", "table9.*"]', 'of = ["a.*"]', "table9.r.1: expected one test, found 0"),
        ('of = ["a.*", "table9.*"]', 'of = ["table9.*"]', "a.b: expected one test, found 0"),
        ("[[inconsistency]]", TWICE, "expected one test, found 2"),
        ('page = "04_search#tab-4"', 'page = "search"', "expected a page such as"),
        ('check = "stated"', 'check = "within"', "expected reads"),
        ('check = "stated"', 'check = "stated"\ntolerance = 1', "expected the parameters"),
        ('"{a.b}"', '"{a.c}"', "expected names of the ledger, got 'a.c'"),
        ('doubts = ["a.b"]', 'doubts = ["a.c"]', "expected names of the ledger, got 'a.c'"),
        ('"=="', '"~"', "expected a sign"),
        ('weight = "number"', 'weight = "heavy"', "expected weight in"),
        ('id = "a.b"', "id = ", "expected a ledger in TOML"),
        (
            'check = "stated"',
            'check = "stated"\nreads = [{ record = "x", value = "y", sampled = "some" }]',
            "expected sampled to be one of",
        ),
    ],
)
def test_a_ledger_with_a_fault_is_refused_in_one_line(tmp_path, old, new, says):
    assert old in SMALL
    with pytest.raises(InputError, match=says) as error:
        read_ledger(written(tmp_path, SMALL.replace(old, new, 1)))
    assert "\n" not in str(error.value)


def test_a_test_of_no_claim_is_refused(tmp_path):
    stray = SMALL[SMALL.index("[[test]]") : SMALL.index("[[inconsistency]]")]
    text = SMALL + stray.replace('"a.*", "table9.*"', '"b.*"')
    with pytest.raises(InputError, match=r"'b\.\*'.*expected claims of such names, found none"):
        read_ledger(written(tmp_path, text))


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("{a.b} + 2 * {table9.r.1}", 13.0),
        ("-{a.b} ** 2", -9.0),
        ("floor({table9.r.1} / 2) - sqrt(4)", 0.0),
        ("max(min({a.b}, 7), abs(-4))", 4.0),
    ],
)
def test_an_expression_is_worked_out_with_its_numbers(expression, value):
    assert evaluate(expression, {"a.b": 3.0, "table9.r.1": 5.0}) == value


@pytest.mark.parametrize("text", ["__import__('os')", "{a.b}.real", "{a.c}", "1 +", "1 / 0", "[1]"])
def test_what_is_no_arithmetic_is_refused(text):
    with pytest.raises(InputError, match="arithmetic"):
        evaluate(text, {"a.b": 3.0})


@pytest.mark.parametrize(
    ("sign", "right", "tolerance", "holds"),
    [
        ("==", "0.3", "0", True),  # 0.1 + 0.2 is not 0.3 in binary
        ("==", "0.4", "0.1", True),
        ("==", "0.4", "0.09", False),
        ("<=", "0.3", "0", True),
        ("<", "0.3", "0", False),
        (">", "0.2", "0", True),
        (">=", "0.31", "0", False),
    ],
)
def test_a_relation_is_exact_for_printed_decimals(sign, right, tolerance, holds):
    relation = Relation(about="x", left="0.1 + 0.2", sign=sign, right=right, tolerance=tolerance)
    assert work(relation, {}).holds is holds


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


def test_every_inconsistency_is_tried_below(ledger):
    assert {each.id for each in ledger.inconsistencies} == set(CHANGES)


@pytest.mark.parametrize("id", CHANGES)
def test_the_verdict_of_an_inconsistency_changes_with_a_number_of_the_ledger(ledger, id):
    (each,) = [each for each in ledger.inconsistencies if each.id == id]
    changed = {name: float(value) for name, value in CHANGES[id].items()}
    assert set(changed) <= set(ledger.numbers)
    other = replace(ledger, numbers={**ledger.numbers, **changed})
    before, after = (judging._judge_relations(each, book).verdict for book in (ledger, other))
    holds, _, _, inconsistent = VERDICTS
    expected = (holds, inconsistent) if each.weight == "agrees" else (inconsistent, holds)
    assert (before, after) == expected


def test_what_is_shown_of_a_relation_has_its_numbers_in_it():
    relation = Relation(about="gap", left="{a} - {b}", sign="==", right="{c}", tolerance="0.05")
    text = work(relation, {"a": 61.3, "b": 45.1, "c": 15.7}).text
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
    assert arithmetic.number(value) == text
