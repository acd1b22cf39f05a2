# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Assumptions: which of the paper's open questions matter?
#
# No paper says everything. Where it is silent, or says two things, whoever rebuilds it must
# **assume** something: how many captions make a batch, which BLEU is meant, whether timbre is
# rescaled. Each such choice is a switch. This page lists the switches, then throws them one at a
# time, and asks of each: does the score move, and does it move *more than luck* would move it?

# %% tags=["parameters"]
preset = "quick"
seed = 0
device = "auto"
switches = None  # all of them; or a list of names, such as ["dropout"]
switch_songs = None  # songs heard again where spectrograms change; the preset's own
again = False  # True: throw them here, in place of showing what was published

# %% tags=["hide-input"]
import matplotlib.pyplot as plt
from myst_nb import glue

from songtitle import experiment, plots, presets, report, tables

plots.use_house_style()
changes = {"switches": switches, "switch_songs": switch_songs}
config = presets.preset(preset, seed=seed, device=device, **changes)
board = experiment.published(experiment.switchboard, config, again=again)
tables.made_by([board], config)

# %% [markdown]
# ## What the paper leaves open
#
# Every row is one question, with the place where the paper should have answered it. In the library
# each is one setting of one type, so that no answer hides in the code. Some questions only exist
# on the paper's own data, or take hours to try: for those the last column names the page that
# decides, or shows what can be known.

# %% tags=["hide-input"]
tables.Table(
    report.open_questions(),
    name="tab-assumptions",
    caption="What the paper does not say, or says in two ways.",
    note="Here: the answer of the preset quick.",
)

# %% [markdown]
# ## One at a time
#
# To **throw one switch** is to change one answer and nothing else: the same songs, the same
# pictures, the same seed. What each song scores after is compared with what the *same song* scored
# before, so that hard songs are hard on both sides. The bar is the mean of these differences, the
# line across its end the 95 % interval.
#
# Two things can move. The **score** is what a table would print. The **gain** is what the score has
# over chance, the same answers held against the wrong titles. A switch that lifts the score and
# leaves the gain where it was has changed the yardstick, not the model: unrelated titles have
# risen just as far.
#
# Some switches ask for another training, and two trainings differ by luck alone. The shaded band
# shows how much: it is as wide as the largest change that came from putting the training captions
# in **another order**. A solid bar stands out from both kinds of luck; a hatched one does not.

# %% mystnb={"figure": {"caption": "What each switch moves, the largest on top. Above: the same answers read otherwise. Below: answers made otherwise. Each panel has a scale of its own.", "name": "fig-tornado"}, "image": {"alt": "Two rows of three tornado plots, for songs by timbre, songs by spectrogram and whole pictures. Each row of a plot is one switch, labelled with the answer before and after; a horizontal bar gives the change of the score in percent points with its interval, solid where it stands out from luck, and a diamond the change of the gain over chance."}} tags=["hide-input"]
panels = report.tornado_panels(board)
rows = [len(panels[place][1]) + 2 for place in range(0, len(panels), 3)]
figure = plt.figure(figsize=(11, 1.6 + 0.28 * sum(rows)), layout="constrained")
axes = figure.subplots(len(rows), 3, sharey="row", squeeze=False, height_ratios=rows)
for (title, frame, luck), axis in zip(panels, axes.flat, strict=True):
    plots.tornado(frame, luck=luck, ax=axis).set_title(title)
plots.tornado_legend(figure);

# %% tags=["hide-input"]
tables.Table(
    report.switch_table(board),
    name="tab-switchboard",
    caption="Each switch: where it leaves the three inputs, and what it changes.",
    note=report.switch_note(board),
)

# %% [markdown]
# Read the table in this order. Is the change of the score beyond its interval? Is the change of the
# *gain* beyond it, too? And was a training needed: then is it beyond the yardstick, another order
# of the batches? Where all answers of a question leave the gain alone, the paper's silence on it
# costs nothing. Where one moves the score and not the gain, two papers that took different answers
# must not be compared.

# %% tags=["hide-input"]
tables.Note("In one line", report.switch_summary(board))

# %% [markdown]
# ## Who assumes what
#
# A **preset** is a set of answers under one name. `paper_literal` takes the paper at its word,
# `best_guess` repairs what cannot have been meant, `modern` is what one would build of the same
# parts today.

# %% tags=["hide-input"]
tables.Table(
    report.sides(),
    name="tab-presets",
    caption="Which answer each preset takes.",
    note="Questions of reading are no matter of presets: all pages read as the default has it, "
    "unless they say otherwise.",
)

# %% [markdown]
# ## Exercises
#
# 1. Throw one switch yourself: run this notebook with `-p switches "['shortest_title']"`. It trains
#    nothing anew. Before you look: will the score of songs rise or fall, and will the gain?
# 2. Add an answer of your own to a question in `songtitle/assumptions/questions.py`, such as
#    `_set("0.5", "model.dropout", 0.5)`, and throw it. Does your bar leave the shaded band?
# 3. One switch at a time misses switches that only matter *together*. Name two of the list that
#    might, and say how many runs it would take to try all answers of three questions at once.

# %% tags=["remove-cell"]
for name, value in report.switched(board).items():
    glue(name, value, display=False)
