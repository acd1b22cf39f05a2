# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Length or content?
#
# In the paper every score rises from greedy search to *k* = 5 and falls from there on. A wider beam
# does two things at once: it finds *other words*, and, since every further word costs
# log-probability, it stops *sooner*. BLEU answers to both. This page takes them apart.

# %% tags=["parameters"]
preset = "quick"
seed = 0
device = "auto"

# %% tags=["hide-input"]
import matplotlib.pyplot as plt
from myst_nb import glue

from songtitle import experiment, metrics, plots, presets, report, tables

plots.use_house_style()
config = presets.preset(preset, seed=seed, device=device)
scored, record = experiment.scores(config), experiment.lengths(config)
scores = experiment.score_table(config)
tables.made_by([scored, record], config)

# %% [markdown]
# ## Figure 8a, with lengths under it
#
# Above, the score of each input by beam size, and chance in the same colour. Below, how long the
# best hypotheses are. Where a score moves, look straight down: does the length move there too? And
# does chance, which knows nothing of the input, move along with the score?

# %% mystnb={"figure": {"caption": "Figure 8a of the paper, redone with what it leaves out: above, BLEU-1 by beam size with 95 % intervals, chance dashed in the same colour; below, the mean length of the best hypotheses.", "name": "fig-length"}, "image": {"alt": "Two panels over the same beam sizes. Above, one line of BLEU-1 with interval bars for each input of Table 4 and a dashed line of chance for each; below, one line of mean length in words for each input, which falls as the beam grows wider."}} tags=["hide-input"]
plots.score_and_length(scores);

# %% [markdown]
# ## What a prefix scores
#
# The plainest way to change length alone is to cut. Here are the greedy titles, kept to their first
# 1 to 10 words and scored again, by words and by letters (a string given to a BLEU program that
# expects a list is scored letter by letter). No word is chosen anew; the rest is length. A curve
# goes flat where titles have no further words to cut.

# %% mystnb={"figure": {"caption": "Greedy hypotheses cut to their first words: BLEU-1 of words (left) and of letters (right) with 95 % intervals, chance dashed in the same colour.", "name": "fig-prefix"}, "image": {"alt": "Two panels of BLEU-1 against the number of words kept, one line with a shaded interval for each of the two song inputs and for whole pictures, and a dashed line of chance for each; scores by letters lie far above those by words."}} tags=["hide-input"]
found = report.frame(record, "prefixes")
figure, axes = plt.subplots(1, 2, figsize=(10, 4))
for (name, rows), ax in zip(found.groupby("definition", sort=False), axes):
    plots.score_by_prefix(rows, ax).set_title(metrics.DEFINITIONS[name].name)

# %% [markdown]
# ## A beam effect in two parts
#
# Take two beam sizes. Let each say its best title of *exactly the other's length*, song by song:
# greedy search cut short (or made to go on), beam search held to so many words. That gives four
# scores, for two ways to choose words and two lengths. Going from one corner to the opposite one,
# length can change first or words can; each part below is the mean of both ways, and the two sum to
# the whole. Titles that differ by stopping sooner alone have all of it under length; titles of the
# same lengths have all of it under words.
#
# The column on chance says how far the score moves against *wrong* titles. What moves chance as far
# as the score has nothing to do with the input.

# %% tags=["hide-input"]
tables.Table(
    report.length_split(record),
    name="tab-length",
    caption="Every beam effect split into length and words, in percent points with 95 % intervals.",
    note=report.definition_note("bleu1", "letters"),
)

# %% tags=["hide-input"]
report.length_note(record)

# %% [markdown]
# ## Does it rise and then fall?
#
# The paper's six curves all rise to *k* = 5 and fall after. The table says what ours do between the
# same beam sizes, where a move whose interval holds 0 counts as level.

# %% tags=["hide-input"]
tables.Table(
    report.shapes(record),
    name="tab-shape",
    caption="Which way scores go, from k = 1 to 5 and from 5 to the widest beam.",
)

# %% [markdown]
# ## Exercises
#
# 1. `SearchConfig(length_penalty=1)` ranks hypotheses by log-probability per word. Predict what that
#    does to the lower panel of the first figure, then try it.
# 2. Write down a captioner whose every beam effect is length alone, and one whose every effect is
#    words alone. What does the table show for each?
# 3. The paper prints no lengths. Which single number per cell would have let its readers do this
#    page's arithmetic?

# %% tags=["remove-cell"]
for name, value in report.steps_explained(record).items():
    glue(f"length.{name}", value, display=False)
