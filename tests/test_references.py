"""How BLEU grows with references: counted on captions made up here, and on AudioCaps' own."""

import json
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import pandas as pd
import pytest

from songtitle.cache import Record
from songtitle.errors import InputError
from songtitle.experiment import paper_corpora, random_captions
from songtitle.metrics.bleu import sentence_bleu
from songtitle.studies import search as titles

SAID = {
    "clip-one-aa": ["a dog barks", "a dog", "dogs bark loudly"],
    "clip-two-bb": ["rain falls", "heavy rain falls", "rain"],
    "clip-three-": ["a man speaks", "a man", "people speak"],
    "clip-short-": ["only one caption"],
}
HEAD = "audiocap_id,youtube_id,start_time,caption"


def table(path, clips):
    rows = [(clip, caption) for clip, captions in clips.items() for caption in captions]
    lines = [f"{i},{clip},30,{caption}" for i, (clip, caption) in enumerate(rows, start=1)]
    path.write_text("\n".join([HEAD, *lines]) + "\n", "utf-8")
    return path


@pytest.fixture
def found(tmp_path):
    """What is counted where training has one caption only, and validation speaks of a man."""
    test = table(tmp_path / "test.csv", SAID)
    valid = table(tmp_path / "val.csv", {"clip-valid-": ["a man speaks", "a man speaks"]})
    train = table(tmp_path / "train.csv", {"clip-train-": ["A dog barks!"]})
    return random_captions.audio_references(test, valid, train)


def row(found, who, count):
    (one,) = [r for r in found["scores"] if (r["who"], r["references"]) == (who, count)]
    return one


def test_clips_with_fewer_captions_than_the_others_are_left_out(found):
    assert (found["clips"], found["captions_a_clip"]) == (3, 3)


def test_a_human_is_scored_against_the_others_of_the_same_clip_and_never_against_itself(found):
    whole = [sum(_scores(captions)) / 3 for captions in list(SAID.values())[:3]]
    assert row(found, "human", 2)["mean"] == pytest.approx(sum(whole) / 3)
    assert max(r["references"] for r in found["scores"] if r["who"] == "human") == 2


def _scores(captions):
    words = [caption.split() for caption in captions]
    for i, said in enumerate(words):
        others = words[:i] + words[i + 1 :]
        yield sentence_bleu(said, others, max_order=1).score


def test_one_training_caption_for_all_clips_is_scored_against_each_clip_s_own(found):
    words = {clip: [c.split() for c in captions] for clip, captions in SAID.items()}
    expected = [
        sentence_bleu(["a", "dog", "barks"], words[clip], max_order=1).score
        for clip in list(SAID)[:3]
    ]
    assert row(found, "random", 3)["mean"] == pytest.approx(sum(expected) / 3)


def test_the_constant_answer_is_chosen_on_validation(found):
    assert sorted(found["constant"].split()) == ["a", "man", "speaks"]


@pytest.mark.parametrize("who", ["human", "random", "constant"])
def test_no_score_falls_as_references_are_added(found, who):
    scores = [r["mean"] for r in found["scores"] if r["who"] == who]
    assert scores == sorted(scores)
    assert all(
        r["low"] <= r["mean"] + 1e-12 and r["mean"] <= r["high"] + 1e-12
        for r in found["scores"]
        if r["who"] == who
    )


def test_the_same_files_give_the_same_numbers(tmp_path):
    paths = [table(tmp_path / f"{n}.csv", SAID) for n in ("test", "val", "train")]
    assert random_captions.audio_references(*paths) == random_captions.audio_references(*paths)


@pytest.fixture
def answers():
    """An answer in which every number is of its own."""
    rows = [
        {"who": who, "references": n, "mean": m, "low": m - 0.01, "high": m + 0.01, "corpus": 2 * m}
        for place, who in enumerate(("human", "random", "constant"))
        for n in range(1, 3 if who == "human" else 4)
        for m in [(10 * place + n) / 100]
    ]
    result = {"scores": rows, "clips": 7, "captions_a_clip": 3, "constant": "a man"}
    return {"audio_references": Record("c", "k", {}, {}, "c", result, {}, {}, Path())}


def scores():
    fields = ["input", "beam_size", "score", "low", "high", "chance", "gain", "p"]
    rows = [
        ("songs: timbre", 1, 0.011, 0.005, 0.02, 0.01, 0.001, 0.4),
        ("songs: spectrogram", 5, 0.13, 0.12, 0.14, 0.05, 0.08, 0.001),
    ]
    return pd.DataFrame(rows, columns=fields)


def test_table_5_stands_beside_its_context_and_blanks_what_was_not_searched(answers):
    table = titles.table_5(scores(), answers).set_index("Features")
    assert "k = 1" not in table.columns[0]  # AudioCaps' column is no greedy search
    assert table.loc["MFCC"].iloc[0] == "34.1"
    assert table.loc["MFCC"].iloc[3].startswith("1.1\n[0.5, 2.0]\n(1.0, +0.1, p 0.400)")
    assert table.loc["MFCC"].iloc[4] is None
    assert table.loc["Spectrogram"].iloc[4].startswith("13.0\n")
    context = table.loc["no model: a random caption"]
    assert context.iloc[0] == "13.0 (3 references)\n11.0 (1 reference)"
    assert context.iloc[1:].isna().all()
    assert len(titles.table_5(scores())) == 2


def test_the_context_in_full_blanks_the_reference_that_a_human_is_itself(answers):
    table = titles.by_references(answers).set_index("What is scored")
    assert list(table.columns) == ["against 1", "against 2", "against 3"]
    assert table.loc["another human caption", "against 2"] == "2.0 [1.0, 3.0]\ncorpus 4.0"
    assert pd.isna(table.loc["another human caption", "against 3"])
    assert table.loc["one answer for every clip", "against 3"].startswith("23.0 ")


def test_the_note_holds_the_numbers_of_the_record_and_of_the_paper(answers):
    said = titles.references_note(answers).text
    for number in ("11.0", "13.0", "21.0", "23.0", "34.1", "44.2", "“a man”"):
        assert number in said


def test_without_an_answer_the_context_is_refused_in_one_line():
    with pytest.raises(InputError, match="census: expected an answer to 'audio_references'"):
        titles.reference_curves({})


def test_curves_are_drawn_in_percent_points_with_what_others_are_quoted_for(answers):
    ax = titles.bleu_by_references(titles.reference_curves(answers), quoted={"theirs": 34.1})
    curves = {bars.get_label(): bars.lines[0] for bars in ax.containers}
    assert curves["a random caption"].get_ydata() == pytest.approx([11, 12, 13])
    assert curves["another human caption"].get_xdata() == pytest.approx([1, 2])
    assert len({line.get_marker() for line in curves.values()}) == 3
    assert [text.get_text() for text in ax.texts] == ["theirs"]
    assert "percent points" in ax.get_ylabel()
    plt.close(ax.figure)


def test_real_audiocaps_has_975_clips_of_five_captions_and_more_references_score_more(
    real_data, tmp_path, monkeypatch
):
    monkeypatch.setattr(random_captions, "DRAWS", 1)
    answer = paper_corpora.answers("audio_references", home=tmp_path)["audio_references"].result
    assert (answer["clips"], answer["captions_a_clip"]) == (975, 5)
    assert answer["faults"]["skipped"] == 0
    json.dumps(answer)
    human = [r["mean"] for r in answer["scores"] if r["who"] == "human"]
    assert human[3] > 2 * human[0]  # one reference against four
    # The same count, published with the book, was made with all draws.
    chance = [r["mean"] for r in answer["scores"] if r["who"] == "random"]
    assert chance[0] == pytest.approx(0.094, abs=0.01)
