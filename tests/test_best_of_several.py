"""What is picked as the best of several says of how many, and is worth no more than luck leaves.

`PICKED` names every function of the pages' code that finds an extreme. Where that is a number that
luck may have made large, the cases below hold it to a sentence, for both ways it may come out.
"""

import ast
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from test_findings import DEAF, HEARD, answered
from test_in_short import CASES, distances, planted, readings, scored, step, trial

from songtitle.experiment.switchboard import YARDSTICK
from songtitle.metrics.chance import holm
from songtitle.paper.checks import TRIALS
from songtitle.paper.ledger import numbers
from songtitle.paper.records import Reading
from songtitle.studies import (
    controls,
    findings,
    forensics,
    in_short,
    listening,
    samples,
    search,
    switchboard,
    training,
)
from songtitle.studies.picked import LUCKY, SURE, adjusted, by_luck_one_of, highest, smallest_p

ROOT = Path(__file__).parent.parent

# -- the correction ------------------------------------------------------------------------------


def test_p_values_are_corrected_as_by_hand():
    """The example of R's p.adjust(c(0.01, 0.04, 0.03, 0.005), "holm")."""
    assert adjusted([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert adjusted([0.9, 0.8]) == [1.0, 1.0]
    assert adjusted([0.04]) == [0.04]


def test_what_is_corrected_is_below_a_level_where_holm_rejects():
    draw = np.random.default_rng(0)
    for count in (1, 2, 5, 30):
        for _ in range(50):
            ps = (draw.random(count) ** 4).tolist()
            assert [p <= 0.05 for p in adjusted(ps)] == holm(ps)


def test_the_smallest_of_several_under_no_effect_is_small_as_often_as_is_said():
    draw = np.random.default_rng(1)
    for count in (1, 5, 20):
        found = (draw.random((20_000, count)).min(axis=1) < 0.05).mean()
        assert found == pytest.approx(by_luck_one_of(count), abs=0.012)


# -- a p that was picked from several -------------------------------------------------------------


def pairs_of_networks(ps):
    rows = [{"encoder": f"net {i}", "decoder": "lstm", "p": p} for i, p in enumerate(ps)]
    return training.comparison_note(planted(rows=rows))


def cells(ps):
    return search.picked_cell(
        pd.DataFrame([scored("songs: timbre", -0.1, 0.1, k=k, p=p) for k, p in enumerate(ps, 1)])
    )


def ranks(ps):
    """Half of them are of MRR, half of R@10."""
    both = zip(ps[::2], ps[1::2], strict=True)
    rows = [
        {"input": f"input {i}", "ranking": "likelihood", "k": 10, "mrr_p": one, "recall_p": other}
        for i, (one, other) in enumerate(both)
    ]
    return controls.picked_rank(planted(rows=rows))


def both_readings(ps):
    told = {"definition": "bleu1", "spread": 0.1, "items": 50, "distinct": 40, "needed": 90}
    told |= {"mean": 0.01, "low": 0.0, "high": 0.02, "paper_difference": 0.02}
    told |= {"paper_needed": None, "apart_needed": None}
    rows = [told | {"beam_size": k, "p": p} for k, p in enumerate(ps)]
    return controls.paired(planted(shared=True, paired=rows))[0].note


def real_songs(ps):
    rows = [{"input": "Million Song, own timbre", "beam_size": k, "p": p} for k, p in enumerate(ps)]
    rows.append({"input": "pictures 224×224", "beam_size": 5, "p": 0.0})  # no song
    return samples.samples_table_note(planted(training=[{}] * 5, summary=rows))


ASKED = [pairs_of_networks, cells, ranks, both_readings, real_songs]


@pytest.mark.parametrize("ask", ASKED, ids=lambda ask: ask.__name__)
@pytest.mark.parametrize("count", [4, 10])
def test_the_smallest_p_of_several_is_told_with_their_number_and_for_all_of_them(ask, count):
    for p, said in ((0.004, SURE), (0.02, LUCKY)):
        text = ask([0.5, p, *[0.5] * (count - 2)])
        assert re.search(rf"Of {count} .* the smallest p is {p:.3f} \(", text)
        assert f"{count * p:.3f} for all {count} together (Holm): {said}." in text
        assert ({SURE, LUCKY} - {said}).pop() + "." not in text.replace(said, "")


@pytest.mark.parametrize(
    "ask", [ask for ask in ASKED if ask is not ranks], ids=lambda a: a.__name__
)
def test_of_one_alone_nothing_was_picked(ask):
    assert "smallest p" not in ask([0.01])


def test_others_that_share_the_smallest_p_are_counted_and_small_ones_written_in_words():
    rows = [{"name": name, "p": 0.0001} for name in "abc"]
    said = "Of 3 x the smallest p is below 0.001 (a and 2 more), below 0.001 for all 3 together"
    assert smallest_p(rows, "x", "{name}").startswith(said)
    assert "for both together" in smallest_p(rows[:2], "x", "{name}")


# -- the listener: penalties, words, inputs -------------------------------------------------------


def listened(*ps, name="songs: timbre"):
    row = {"input": name, "who": "listener", "items": 7, "series": 7, "z": 3.0}
    return planted(rows=[row | {"penalty": i, "p": p} for i, p in enumerate(ps)])


@pytest.mark.parametrize(("p", "listens"), [(0.012, True), (0.02, False)])
def test_the_best_penalty_is_told_with_the_number_of_those_tried(p, listens):
    record = listened(0.5, p, 0.5)
    text = listening.listening_note(record).text
    assert f"best of 3 penalties: z = 3.0, p = {3 * p:.3f} for all 3 together, Holm" in text
    assert ("there is something to hear" in text) is listens
    assert "best of 2 penalties" in listening.listening_note(listened(0.5, p)).text


def test_words_that_are_found_by_luck_among_so_many_are_told_from_the_others():
    ps = [0.001, 0.04, 0.04, *[0.5] * 17]
    words = [
        {"input": "x", "word": f"w{i}", "auc": 0.6, "songs": 9, "p": p} for i, p in enumerate(ps)
    ]
    row = listening.words_table(planted(found=words)).iloc[0]
    assert (row["p ≤ 0.05"], row["expected by chance"]) == ("3 of 20", "1.0")
    assert row["for all together (Holm)"] == "1"


@pytest.mark.parametrize(("p", "sure"), [(0.009, True), (0.02, False)])
def test_a_listener_is_believed_for_all_inputs_together(p, sure):
    judged = [
        {"input": f"set {i}", "z": 2.0, "p": each, "tried": 3}
        for i, each in enumerate((p, 0.5, 0.6))
    ]
    text = findings.plain_answer(answered(), judged)
    assert ("There is something to hear" in text) is sure
    assert ("finds nothing sure" in text) is not sure
    if sure:
        assert f"best of 3 penalties, and p, at most {3 * p:.3f}, is for all of them and" in text
        assert "for 3 inputs together (Holm)" in text
    else:
        assert f"{3 * p:.3f} for all 3 together (Holm): {LUCKY}" in text


# -- readings of songs ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("p", "start", "said"), [(0.004, "In part", SURE), (0.024, "We cannot tell", LUCKY)]
)
def test_one_reading_of_several_is_heard_only_where_luck_among_them_is_not_enough(p, start, said):
    rows = answered(timbre=HEARD, spectrogram=DEAF, tracks=DEAF)
    rows.loc[(rows["about"] == "songs: timbre") & rows["p"].notna(), "p"] = p
    text = findings.plain_answer(rows)
    assert text.startswith(start)
    assert "Of 4 readings of songs the smallest p is" in text
    assert f"{4 * p:.3f} for all 4 together (Holm): {said}." in text


def test_nothing_is_said_of_picking_where_every_reading_or_none_is_heard():
    for gain, start in ((HEARD, "Yes"), (DEAF, "As far as we can see, no")):
        text = findings.plain_answer(answered(timbre=gain, spectrogram=gain, tracks=gain))
        assert text.startswith(start)
        assert "readings of songs the smallest" not in text


def test_a_page_and_the_last_one_agree_on_a_reading_that_stands_out_among_all():
    """Page 4 has fewer readings than page 19: what 19 believes 4 believes, too."""
    for p in (0.001, 0.012):
        assert "so it hears something" in in_short.search(readings(p, 0.5)).text


# -- beam sizes, epochs, lengths, steps, seeds: what picking by lot, or luck, would give ----------


@pytest.mark.parametrize(("sizes", "lot"), [((1, 5), "1.0"), ((1, 5, 10, 20), "0.5")])
def test_the_best_beam_is_told_beside_what_picking_by_lot_would_give(sizes, lot):
    for best in sizes:
        rows = [
            scored(name, -0.1, 0.1, k=k, score=0.2 + 0.1 * (k == best))
            for name in ("songs: timbre", "songs: spectrogram")
            for k in sizes
        ]
        found = f"{2 * (best == 5)} of 2 inputs score highest"
        said = f"{found}; by lot among {len(sizes)} beam sizes {lot} would."
        assert said in in_short.search(rows).text


def test_the_epoch_that_is_kept_is_told_beside_the_best_of_all():
    found = enumerate((11.0, 7.5, 8.25, 9.0), 1)
    history = [{"epoch": epoch, "valid_perplexity": value} for epoch, value in found]
    values = dict.fromkeys(("valid", "permuted_pictures", "unigram"), 7.5)
    result = {f"{name}_perplexity": value for name, value in values.items()} | {"history": history}
    for epoch, said in (
        (2, "The epoch kept is the best of 4 on these very captions; the second best has 8.2."),
        (4, "Kept is epoch 4 of 4; on these captions epoch 2 is the best, with 7.5."),
    ):
        assert training.kept_epoch(result | {"epoch": epoch}) == said
        assert said in in_short.training(result | {"epoch": epoch}, 0.2).text
    assert training.kept_epoch({"history": history[:1], "epoch": 1}) == ""


def test_the_best_length_is_told_beside_one_by_lot():
    said = search.best_length(pd.Series([0.01, 0.04, 0.02, 0.03], index=[1, 2, 3, 4]))
    assert "With 2 kept of each" in said
    assert "4.0 points, the highest of 4 lengths (one picked by lot: 2.5)" in said
    assert highest([0.3], "ways") == "30.0 points"


@pytest.mark.parametrize(("count", "luck"), [(12, "0.6"), (40, "2.0")])
def test_steps_that_move_the_score_are_told_beside_those_that_luck_moves(count, luck):
    record = planted(steps=[step(0.1, 0.0), *[step(0.0, 0.0)] * (count - 1)])
    assert f"Of {count} steps to a wider beam 1 change" in in_short.length(record).text
    assert f"which alone would seem to change it in {luck}." in in_short.length(record).text
    assert f"which alone would do so in {luck}." in search.length_note(record).text


@pytest.mark.parametrize(("seeds", "low", "share"), [(5, "0.25", "23 %"), (20, "1", "64 %")])
def test_seeds_that_beat_chance_are_told_beside_those_that_luck_lets(seeds, low, share):
    record = planted(training=[{}] * seeds, summary=[])
    assert f"By luck alone {low} of {seeds} seeds have p < 0.05." in samples.samples_table_note(
        record
    )
    assert f"the lowest of {seeds} is below 0.05 in {share}" in samples.lowest_p(record)


# -- ways of counting -----------------------------------------------------------------------------


def test_the_nearest_way_is_told_beside_as_many_blind_guesses():
    for best, said in ((0.05, "as the best of so many may be by luck"), (0.02, "nearer than luck")):
        text = in_short.forensics(*distances(best, 0.1, luck=0.03)).text
        assert (
            f"Of 96 ways of counting, the nearest to the paper's table lies {100 * best:.1f}"
            in text
        )
        assert "the best of as many blind guesses 4.0 and one number in every cell 10.0" in text
        assert said in text


def test_only_ways_that_were_tried_may_be_the_nearest():
    _, result = distances(0.2, 0.1)
    assert forensics.nearest_way(result)["all"] == 0.2
    assert forensics.nearest_way(result, "the same, wrong references")["all"] == 0.0


# -- switches and mistakes ------------------------------------------------------------------------


def board(orders):
    row = {"input": "songs: timbre", "items": 7, "score_clear": False, "gain_clear": False}
    names = [("dropout", "none"), *((YARDSTICK, f"seed {i}") for i in range(orders))]
    changes = [
        {"question": name, "before": "0", "label": label, "kind": "training", "rows": [row]}
        for name, label in names
    ]
    record = planted(default=[row], changes=changes)
    record.provenance.update(started="2026-12-01", commit="c", modified=False)
    return record


@pytest.mark.parametrize("orders", [1, 3])
def test_a_switch_is_told_beside_all_bars_and_all_other_orders(orders):
    record = board(orders)
    bars = 1 + orders
    text = in_short.switchboard(switchboard.switched(record)).text
    assert "Of 1 bars, 0 move the score and 0 the gain over chance" in text
    assert f"(Holm over all {bars}, other orders of the batches with them)" in text
    note = switchboard.switch_note(record)
    assert f"holds among all {bars} bars (Holm)" in note
    assert f"further than {orders} other orders" in note
    assert f"one time in {orders + 1}" in note
    assert "other orders" not in switchboard.switch_note(board(0))


def test_mistakes_that_pay_are_told_for_all_that_were_tried():
    rows = [trial(0.1, 0.1), trial(-0.1, 0.0), trial(0.0, 0.0)]
    assert "In 1 of 3" in in_short.labs(rows).text.replace("Scores rise in", "In")
    assert "for all 3 together, Holm" in in_short.labs(rows).text


# -- the scoreboard -------------------------------------------------------------------------------


@pytest.mark.parametrize("id", ["search.songs_below_pictures", "search.songs_near_pictures"])
@pytest.mark.parametrize("songs", [0.1, 0.9])
def test_a_claim_on_best_cells_says_of_how_many(id, songs):
    ends = {"low": 0.01, "high": 0.02}
    rows = [scored("songs: timbre", 0, 0, k=k, score=songs) | ends for k in (1, 5)]
    rows += [scored("pictures 64×64", 0, 0, k=k, score=0.5) | ends for k in (1, 5, 10)]
    here = TRIALS[id].check(Reading(found={"rows": rows}), numbers())[1]
    assert "(best of 2 cells)" in here
    assert "(best of 3 cells)" in here


@pytest.mark.parametrize(("cleaned", "ways"), [("3.09", "2 of 2"), ("2.0", "1 of 2")])
def test_a_number_that_one_of_several_ways_reaches_says_of_how_many(cleaned, ways):
    found = {"as_written": {"lengths": {"3.09": 300}}, "cleaned": {"lengths": {cleaned: 300}}}
    holds, here = TRIALS["table1.msd.mean_length"].check(Reading(found=found), numbers())
    assert holds
    assert f"; {ways} ways agree)" in here


# -- the whole kind -------------------------------------------------------------------------------

# (module, function) -> the case above that holds it to its number, or why luck picks nothing there.
PICKED = {
    "studies/training": {"example_caption": "an example for a drawing, by its length"},
    "studies/search": {
        "headline": "test_headline",
        "best_length": test_the_best_length_is_told_beside_one_by_lot,
        "shapes_of_the_paper": "tells what the paper prints, curve by curve, and of how many",
    },
    "studies/listening": {"hearing": test_the_best_penalty_is_told_with_the_number_of_those_tried},
    "studies/controls": {
        "beaten": "the control that speaks most against the input; its line has their number",
        "control_forest": "the same in a figure's words, with their number",
        "seeds_note": "the row in which seeds matter most, behind in how many of all they do",
    },
    "studies/in_short": {
        "one_row": "by beam size, no score",
        "search": test_the_best_beam_is_told_beside_what_picking_by_lot_would_give,
    },
    "studies/forensics": {
        "within_reach": "chosen on half of the titles, scored on the other; of how many pairs",
        "nearest_way": test_the_nearest_way_is_told_beside_as_many_blind_guesses,
        "distance_map": "a figure's words, with the number of squares",
        "prefix_curves": "a figure's words, with the number of lengths",
    },
    "studies/switchboard": {
        "switch_summary": "of those that hold among all bars, whose number stands beside it",
        "tornado": "a figure's words, with the number of bars",
        "lab_note": "of those that hold among all rows, whose number stands before it",
        "before_and_after": "a figure's words, with the number of rows",
    },
    "studies/corpora": {
        "panels": "the count of most rows, no score",
        "length_distribution": "the most frequent length: a mode",
        "title_funnel": "the step that drops most titles: counted, not sampled",
    },
    "studies/gallery": {"_picture_alt": "the brightest row of a picture"},
    "studies/inputs": {
        "show_spectrogram": "the loudest row of a picture",
        "timbre_bars": "the largest number of a song",
    },
    "studies/plan": {"times": "the longest piece of a forecast"},
    "studies/similarity": {"_ends": "both ends of a range, with the number of maps"},
    "studies/software": {
        "growth_lines": "both ends of a range, with the number of lines",
        "ratio_bars": "the ratio that speaks most against the code, with their number",
    },
    "paper/checks": {"best": test_a_claim_on_best_cells_says_of_how_many},
    "paper/judging": {"_readings": "the surest scope of data, no score"},
    "notebooks/04_search": {"": "likeliest words: what search is"},
    "notebooks/05_titles": {"": "an example to count by hand, told as picked from all songs"},
    "notebooks/10_length": {"": test_the_best_length_is_told_beside_one_by_lot},
}
EXTREMES = {"idxmax", "idxmin", "argmax", "argmin", "nlargest", "nsmallest"}


def picks(tree, function=""):
    """Functions in which the place of an extreme is found."""
    for node in ast.iter_child_nodes(tree):
        inner = node.name if isinstance(node, ast.FunctionDef) else function
        if isinstance(node, ast.Call):
            named = node.func.attr if isinstance(node.func, ast.Attribute) else ""
            plain = node.func.id if isinstance(node.func, ast.Name) else ""
            by_key = plain in ("max", "min") and any(each.arg == "key" for each in node.keywords)
            if named in EXTREMES or by_key:
                yield inner
        elif isinstance(node, ast.Constant) and node.value in EXTREMES:
            yield inner
        yield from picks(node, inner)


FILES = [
    *(ROOT / "songtitle" / "studies").glob("*.py"),
    *(ROOT / "songtitle" / "paper").glob("*.py"),
    *(ROOT / "notebooks").glob("[0-9]*.py"),
]


@pytest.mark.parametrize("path", sorted(FILES), ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_whatever_is_picked_has_its_case_or_its_reason(path):
    reasons = PICKED.get(f"{path.parent.name}/{path.stem}", {})
    assert set(picks(ast.parse(path.read_text("utf-8")))) == set(reasons)
    assert all(callable(why) or len(why) > 12 for why in reasons.values())


def test_a_place_of_an_extreme_is_found_however_it_is_written():
    for line in (
        "a.idxmax()",
        "np.argmin(a)",
        "max(a, key=f)",
        'a.agg("idxmax")',
        'f(*["idxmin"])',
    ):
        assert list(picks(ast.parse(f"def g():\n    {line}"))) == ["g"]
    assert not list(picks(ast.parse("max(a); a.max(); sorted(a, key=f)")))


@pytest.mark.parametrize(
    ("ask", "given"),
    [(ask, given) for ask, _, given in CASES],
    ids=[f"{ask.__name__}: {phrase}" for ask, phrase, _ in CASES],
)
def test_what_is_called_the_best_in_short_says_of_how_many(ask, given):
    for sentence in re.split(r"(?<=\.) (?=[A-Z])", ask(*given).text):
        if re.search(r"\b(best|highest|nearest|smallest|largest|lowest)\b", sentence):
            assert re.search(r"\bof \d|\b\d+ of\b|Of \d|of as many|second best", sentence), sentence


SHOWN = {  # what a page says in a table's note, and the page
    "study.comparison_note(": "03_training",
    "study.kept_epoch(": "03_training",
    "study.picked_cell(": "04_search",
    "study.picked_rank(": "09_controls",
    "study.paired(": "09_controls",
    "study.best_length(": "10_length",
    "study.samples_table_note(": "13_samples",
    "study.lowest_p(": "13_samples",
}


@pytest.mark.parametrize(("call", "page"), SHOWN.items())
def test_the_sentence_stands_on_its_page(call, page):
    assert call in (ROOT / "notebooks" / f"{page}.py").read_text("utf-8")
