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
# A decoder gives probabilities; **search** turns them into words. Greedy search takes the likeliest
# word at every step. Beam search keeps the *k* likeliest beginnings. The paper reports that every
# score peaks at *k* = 5 and then falls. This page redoes that table and puts beside every cell what
# **chance** scores: the same outputs against the wrong references.

# %% tags=["parameters"]
preset = "quick"
seed = 0
device = "auto"
beam_sizes = None  # the preset's own; or a list such as [1, 3]
tile_sizes = None

# %% tags=["hide-input"]
from myst_nb import glue

from songtitle import claims, experiment, plots, presets, report, tables

plots.use_house_style()
changes = {"beam_sizes": beam_sizes, "tile_sizes": tile_sizes}
config = presets.preset(preset, seed=seed, device=device, **changes)
record, pairs = experiment.scores(config), experiment.differences(config)
scores = experiment.score_table(config)
tables.made_by([record, pairs], config)

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
# **Chance** is exact: the mean over all wrong pairings of the same outputs with the same
# references. *p* is the share of random pairings that score at least as high. Where the gain is
# nothing to speak of, this run gives no sign that the model heard or saw anything, however high
# the score.
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
    note=report.signature(scores),
)

# %% mystnb={"figure": {"caption": "Figure 8a of the paper, redone: BLEU-1 by beam size, with 95 % intervals; chance dashed in the same colour.", "name": "fig-8a"}, "image": {"alt": "BLEU-1 in percent points against beam size, one line with interval bars for each of the inputs of Table 4, and a dashed line of chance in the same colour for each."}} tags=["hide-input"]
plots.bleu_by_beam(scores);

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
# Beam search ranks by summed log-probability, and every further word lowers the sum: wide beams
# prefer short outputs. Length alone moves BLEU; page 10 takes the two apart.

# %% tags=["hide-input"]
tables.Table(
    report.mean_lengths(scores),
    name="tab-lengths",
    caption="Mean length of the best hypothesis, in words.",
)

# %% [markdown]
# ## Exercises
#
# 1. Run this notebook with `-p beam_sizes "[1, 2, 3]"`. Between which two sizes does most happen?
# 2. In the paper the 32-pixel tiles score higher than the whole crop. What would you expect of a
#    captioner that depends on what it sees? What do you find above?
# 3. A beam of size *k* over *d* steps costs time in proportion to *k d*. The paper reports that
#    the rate for Million Song falls
#    {glue:text}`paper.search.msd_rate_drop:.1f`-fold from *k* = 1 to 5 while BLEU rises {glue:text}`paper.search.msd_gain:.1f`-fold. By which
#    factor did time grow, then, and can beam search alone account for it?

# %% tags=["remove-cell"]
for name, value in report.headline(scores).items():
    glue(name, value, display=False)
for name in ("headline.out_domain", "headline.in_domain", "search.msd_rate_drop", "search.msd_gain"):
    glue(f"paper.{name}", claims.paper(name), display=False)
