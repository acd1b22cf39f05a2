# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Search: what do beams and tiles do to the score?
#
# A {term}`decoder` gives probabilities; **search** turns them into words.
# {term}`Greedy search <greedy search>` takes the likeliest word at every step.
# {term}`Beam search <beam search>` keeps the *k* likeliest beginnings. The paper reports that
# every score peaks at *k* = 5 and then falls. This page redoes that table and puts beside every
# cell what **chance** scores: the same outputs against the wrong {term}`references <reference>`.
# What search does at every step, on one song, is drawn on {doc}`15_gallery`.

# %% tags=["parameters"]
preset: str = "quick"  # settings: tiny, quick, course, best_guess, modern or paper_literal
seed: int = 0  # whole number that all random choices are made from
device: str = "auto"  # where to compute: auto, cpu, cuda or mps
settings: dict = {}  # any others by dotted name, such as {"spectrogram.hop_length": 128}
beam_sizes: list[int] = None  # hypotheses kept, such as [1, 3]; None: the preset's own
tile_sizes: list[int] = None  # sides in pixels, such as [64, 256]; None: the preset's own

# %% tags=["hide-input"]
from myst_nb import glue

from songtitle import claims, evidence, experiment, plots, presets, report, tables

plots.use_house_style()
changes = {"beam_sizes": beam_sizes, "tile_sizes": tile_sizes}
config = presets.preset(preset, settings, seed=seed, device=device, **changes)
record, pairs = experiment.scores(config), evidence.differences(config)
scores = experiment.score_table(config)
tables.made_by([record, pairs], config)

# %% [markdown]
# ## The score by beam size
#
# Each line is one way to feed the network: pictures, cut into tiles of several sizes, and songs, by
# timbre and by spectrogram. A dashed line of the same colour is what the same outputs score beside
# the wrong references.

# %% mystnb={"figure": {"caption": "Figure 8a of the paper, redone: BLEU-1 by beam size, with 95 % intervals; chance dashed in the same colour.", "name": "fig-8a"}, "image": {"alt": "BLEU-1 in percent points against beam size, one line with interval bars for each of the inputs of Table 4, and a dashed line of chance in the same colour for each."}} tags=["hide-input"]
plots.bleu_by_beam(scores);

# %% [markdown]
# ## Table 4, with chance
#
# Each cell of this run has three lines, in percent points:
#
# ```text
# score letters          mean sentence BLEU-1
# [low, high]            its 95 % bootstrap interval: what other test items might have given
# (chance, gain, p)      what wrong pairs score, score less chance, and how often luck gains as much
# ```
#
# {term}`Chance <chance>` is exact: the mean over all wrong pairings of the same outputs with the
# same references. {term}`p <p-value>` is the share of random pairings that score at least as
# high. Where the {term}`gain` is nothing to speak of, this run gives no sign that the model heard
# or saw anything, however high the score. {term}`BLEU` and {term}`bootstrap` are in the glossary.
#
# **Letters** say what the items cannot tell apart. Within a column, the two readings of the same
# songs are compared with each other, and so are the tilings of the same pictures; two that share a
# letter may differ by luck alone (random signs of the items' differences, 5 %, corrected for the
# number of pairs). Letters are never shared between songs and pictures, whose titles and captions
# are different tests.
#
# The line below is the paper's cell, which came without any of this.

# %% tags=["hide-input"]
tables.Table(
    report.table_4(scores, pairs),
    name="tab-4",
    caption="Table 4. BLEU-1 in percent points by input and beam size (k = 1 is greedy search): "
    "score and letters, [interval], (chance, gain, p).",
    note=report.signature(record),
)

# %% [markdown]
# ## What a beam costs
#
# Time is of search alone, per picture, tile or song, with features at hand: the picture network
# costs the same whatever the beam. Greedy search is a path of its own, not beam search with one
# beam.

# %% mystnb={"figure": {"caption": "Figure 8b of the paper, redone: time of search per example by beam size.", "name": "fig-8b"}, "image": {"alt": "Milliseconds of search per example against beam size, one line for each of the inputs of Table 4."}} tags=["hide-input"]
plots.seconds_by_beam(scores);

# %% mystnb={"figure": {"caption": "Figure 8c of the paper, redone: BLEU-1 per second of search, on a logarithmic scale.", "name": "fig-8c"}, "image": {"alt": "BLEU-1 per second of search on a logarithmic scale against beam size, one line for each of the inputs of Table 4."}} tags=["hide-input"]
plots.bleu_per_second(scores);

# %% [markdown]
# ## Longer beams, shorter outputs
#
# Beam search ranks by summed {term}`log-probability`, and every further word lowers the sum: wide
# beams prefer short outputs. Length alone moves BLEU; {doc}`10_length` takes the two apart.

# %% tags=["hide-input"]
tables.Table(
    report.mean_lengths(scores),
    name="tab-lengths",
    caption="Mean length of the best hypothesis, in words.",
)

# %% [markdown]
# ## What it means
#
# Read the gain, not the score. A score may rise and fall with the beam while its gain stays at
# nothing: then search has changed what is *said*, not what is *heard*. The rows of pictures show
# how it looks when an input is used; hold the rows of songs against them. A low score with a
# clear gain would be a better sign of hearing than a high score without one. Why scores move with
# the beam at all is taken apart in {doc}`10_length`. What scores when nobody listens is measured
# in {doc}`09_controls`. The titles behind the numbers are on the next page, {doc}`05_titles`.

# %% [markdown]
# ## Exercises
#
# ```{exercise} Where greedy search goes wrong
# :label: ex-04-1
#
# The first word is `a` (probability `0.6`) or `the` (`0.4`). After `a` comes `cat` (`0.4`), `dog`
# (`0.35`) or `hat` (`0.25`); after `the` comes `moon` (`0.9`) or `sun` (`0.1`). Let code find
# `greedy_title`, the two words of greedy search, and `best_title`, the two words that are likeliest
# together, each as a list.
# ```
#
# ```{solution-start} ex-04-1
# :label: sol-04-1
# :class: dropdown
# ```
#
# Greedy search takes `a`, the likelier first word, and ends at $0.6 \cdot 0.4 = 0.24$. The best title
# begins with the other word: $0.4 \cdot 0.9 = 0.36$. A beam of two keeps both beginnings and finds it.

# %% tags=["solution"]
first = {"a": 0.6, "the": 0.4}
second = {"a": {"cat": 0.4, "dog": 0.35, "hat": 0.25},
          "the": {"moon": 0.9, "sun": 0.1}}
start = max(first, key=first.get)
greedy_title = [start, max(second[start], key=second[start].get)]
joint = {(one, two): p * q for one, p in first.items() for two, q in second[one].items()}
best_title = list(max(joint, key=joint.get))

# %% [markdown]
# ```{solution-end}
# ```

# %% tags=["check", "remove-cell"]
assert len(greedy_title) == len(best_title) == 2

# %% tags=["hidden-check", "remove-cell"]
assert list(greedy_title) == ["a", "cat"]

# %% tags=["hidden-check", "remove-cell"]
assert list(best_title) == ["the", "moon"]

# %% [markdown]
# ```{exercise} Small tiles, high scores
# :label: ex-04-2
#
# In the paper the 32-pixel tiles score higher than the whole crop. What would you expect of a
# captioner that depends on what it sees? Which column of {numref}`tab-4` should you read to find out?
# ```
#
# ```{solution} ex-04-2
# :label: sol-04-2
# :class: dropdown
#
# It should do worse on tiles: each shows a small part of what the caption is about. Read the *gain*,
# not the score. A score may stay high on tiles for reasons that have nothing to do with seeing, such
# as the length of the answers; the gain over chance cannot.
# ```
#
# ```{exercise} What did the beam cost?
# :label: ex-04-3
#
# The paper reports that BLEU per second for Million Song falls $r$-fold from *k* = 1 to 5, while BLEU
# rises $g$-fold; `claims.paper("search.msd_rate_drop")` and `claims.paper("search.msd_gain")` have the
# two numbers. By which factor did time grow? Can beam search alone account for it, if its cost is in
# proportion to *k* times the number of steps?
# ```
#
# ```{solution} ex-04-3
# :label: sol-04-3
# :class: dropdown
#
# The rate is $b/t$. From $b_5/t_5 = (b_1/t_1)/r$ and $b_5 = g\,b_1$ follows $t_5/t_1 = r\,g$. With
# $r$ = {glue:text}`paper.search.msd_rate_drop:.1f` and $g$ = {glue:text}`paper.search.msd_gain:.1f`
# that is nearly nine. Five hypotheses cost five times as much, less if wider beams stop sooner. So
# search alone does not account for it: something else was timed, or the code was not batched.
# ```

# %% tags=["remove-cell"]
for name, value in report.headline(scores).items():
    glue(name, value, display=False)
for name in ("headline.out_domain", "headline.in_domain", "search.msd_rate_drop", "search.msd_gain"):
    glue(f"paper.{name}", claims.paper(name), display=False)
