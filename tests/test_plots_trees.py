"""The tree of beams and the panels of settings draw exactly what they are given."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from drawings import plots

from songtitle.errors import InputError
from songtitle.studies.gallery import tree_alt, tree_of

BEAMS = [
    {"tokens": ["a", "boy", "<eos>"], "log_probs": [-1.0, -2.0, -0.5]},
    {"tokens": ["a", "<eos>"], "log_probs": [-1.0, -3.0]},
    {"tokens": ["$x_1$", "boy", "<eos>"], "log_probs": [-1.5, -2.5, -0.25]},
    {"tokens": ["a", "boy", "boy"], "log_probs": [-1.0, -2.0, -4.0]},  # not finished
    {"tokens": ["<eos>"], "log_probs": [-9.0]},
]


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def path_to(tree, node):
    tokens = []
    while node:
        tokens.append(tree["token"].iloc[node])
        node = tree["parent"].iloc[node]
    return tokens[::-1]


def test_every_path_from_the_root_to_a_rank_is_that_hypothesis_and_adds_up():
    tree = tree_of(BEAMS)
    ends = tree[tree["rank"] > 0].sort_values("rank")
    assert ends["rank"].tolist() == [1, 2, 3, 4, 5]
    for node, found in zip(ends["node"], BEAMS, strict=True):
        assert path_to(tree, node) == found["tokens"]
        assert tree["log_prob"].iloc[node] == pytest.approx(sum(found["log_probs"]))
    leaves = set(tree["node"]) - set(tree["parent"])
    assert leaves == set(ends["node"])


def test_every_beginning_is_one_node():
    tree = tree_of(BEAMS)
    starts = {tuple(b["tokens"][:n]) for b in BEAMS for n in range(len(b["tokens"]) + 1)}
    assert len(tree) == len(starts)
    assert {tuple(path_to(tree, node)) for node in tree["node"]} == starts


def test_no_two_nodes_share_a_place_and_the_winner_is_the_top_line():
    tree = tree_of(BEAMS)
    assert not tree.duplicated(["depth", "height"]).any()
    assert set(tree.loc[tree["best"] == 1, "height"]) == {0}
    assert sorted(tree.loc[tree["rank"] > 0, "height"]) == list(range(len(BEAMS)))


def test_the_figure_holds_every_token_with_its_log_probability():
    ax = plots.beam_tree(BEAMS)
    frame = plots.data_of(ax.figure)
    assert len(frame) == len(tree_of(BEAMS))
    assert frame["token"].tolist().count("<eos>") == 4
    assert frame["log-probability (nats)"].tolist() == tree_of(BEAMS)["log_prob"].tolist()
    assert set(frame["rank"]) == set(range(6))
    shown = [text.get_text() for text in ax.texts]
    assert "$x_1$" in shown  # a token, no formula
    assert {"winner", "2.", "3.", "4.", "5."} <= set(shown)
    ax.figure.canvas.draw()


def test_the_words_for_a_tree_name_winner_and_last():
    text = tree_alt(BEAMS)
    assert "5 hypotheses with 9 tokens in all" in text
    assert "winner is “a boy” at -3.50 nats, the last “(nothing)” at -9.00" in text
    assert "3 different tokens: a, $x_1$, <eos>" in text
    assert plots.alt_of(plots.beam_tree(BEAMS).figure) == text
    assert "nothing else was kept" in tree_alt(BEAMS[:1])


def test_a_tree_of_nothing_is_refused():
    with pytest.raises(InputError, match="expected at least one"):
        plots.beam_tree([])


def test_panels_of_settings_share_one_scale_and_tell_their_sizes():
    rng = np.random.default_rng(0)
    given = {"A": rng.normal(size=(8, 30)), "B": rng.normal(size=(4, 30)), "C": np.zeros((4, 15))}
    figure = plots.settings_panels(given, (4, 15))
    shown = [ax for ax in figure.axes if ax.get_visible()]
    assert len(shown) == 3
    assert len({(ax.get_xlim(), ax.get_ylim()) for ax in shown}) == 1
    for ax, values in zip(shown, given.values(), strict=True):
        np.testing.assert_array_equal(ax.images[0].get_array(), values)
        assert ax.images[0].get_extent() == [0, values.shape[1], 0, values.shape[0]]
        frames = [(p.get_width(), p.get_height()) for p in ax.patches]
        assert frames == [(15, 4), (15, 4)]
    alt = plots.alt_of(figure)
    assert "A: 8 bins by 30 frames" in alt
    assert "C: 4 bins by 15 frames" in alt
    figure.canvas.draw()
