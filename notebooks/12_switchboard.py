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
# **assume** something: how many captions make a batch, which {term}`BLEU` is meant, whether
# {term}`timbre` is rescaled. Each such choice is a switch. This page lists the switches, then
# throws them one at a time, and asks of each: does the score move, and does it move *more than
# luck* would move it?

# %% tags=["parameters"]
preset: str = "quick"  # settings: tiny, quick, rehearsal, course, best_guess, modern or paper_literal
seed: int = 0  # whole number that all random choices are made from
device: str = "auto"  # where to compute: auto, cpu, cuda or mps
settings: dict = {}  # any others by dotted name, such as {"spectrogram.hop_length": 128}
corpora: str = None  # book, samples, paper, rehearsal or a TOML file; None: the preset's own
switches: list[str] = None  # names such as ["dropout"]; None: all of the preset
switch_songs: int = None  # songs heard anew for other spectrograms; None: the preset's own
again: bool = False  # True: throw the switches here; False: show what was published

# %% tags=["hide-input"]
import matplotlib.pyplot as plt
from matplotlib.patches import Patch
from myst_nb import glue

from songtitle import cache, figures, tables
from songtitle import config as presets
from songtitle.experiment import switchboard
from songtitle.studies import in_short
from songtitle.studies import switchboard as study

figures.use_house_style()
changes = {"switches": switches, "switch_songs": switch_songs}
config = presets.preset(preset, settings, seed=seed, device=device, corpora=corpora, **changes)
board = cache.published(switchboard.switchboard, config, again=again)
tables.made_by([board], config)

# %% tags=["hide-input"]
in_short.switchboard(study.switched(board))

# %% [markdown]
# ## What the paper leaves open
#
# Every row is one question, with the place where the paper should have answered it. In the library
# each is one setting of one type, so that no answer hides in the code. Some questions only exist
# on the paper's own data, or take hours to try: for those the last column names the page that
# decides, or shows what can be known.

# %% tags=["hide-input"]
tables.Table(
    study.open_questions(),
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
# line across its end the 95 % interval over series of songs or pictures, of one training.
#
# Two things can move. The **score** is what a table would print. The {term}`gain` is what the
# score has over {term}`chance`, the same answers held against the wrong titles. A switch that
# lifts the score and leaves the gain where it was has changed the yardstick, not the model:
# unrelated titles have risen just as far.
#
# Some switches ask for another training, and two trainings differ by luck alone. The shaded band
# shows how much: it is as wide as the largest change that came from putting the training captions
# in **another order**. A solid bar stands out from both kinds of luck; a hatched one does not.

# %% mystnb={"figure": {"caption": "What each switch moves, the largest on top, with 95 % intervals over series, of one training. Above: the same answers read otherwise. Below: answers made otherwise. Each panel has a scale of its own.", "name": "fig-tornado"}, "image": {"alt": "Two rows of three tornado plots, for songs by timbre, songs by spectrogram and whole pictures: a bar for each switch, the change of the score in percent points with its interval over series, of one training, solid where it stands out from luck, and a diamond for the change of the gain over chance."}} tags=["hide-input"]
panels = study.tornado_panels(board)
rows = [len(panels[place][1]) + 2 for place in range(0, len(panels), 3)]
figure = plt.figure(figsize=(11, 1.6 + 0.28 * sum(rows)), layout="constrained")
axes = figure.subplots(len(rows), 3, sharey="row", squeeze=False, height_ratios=rows)
for (title, frame, luck), axis in zip(panels, axes.flat, strict=True):
    study.tornado(frame, luck=luck, ax=axis).set_title(title)
handles = [Patch(**look, label=label) for label, look in study.BARS.items()]
for label, look in study.MARKS.items():
    handles.append(axes[0, 0].scatter([], [], **look, label=label))
handles.append(Patch(color="0.9", label="another batch order"))
figure.legend(handles=handles, loc="outside lower center", ncols=5, frameon=False);

# %% tags=["hide-input"]
tables.Table(
    study.switch_table(board),
    name="tab-switchboard",
    caption="Each switch: where it leaves the three inputs, and what it changes.",
    note=study.switch_note(board),
)

# %% [markdown]
# Read the table in this order. Is the change of the score beyond its interval (over series, of one
# training)? Is the change of the *gain* beyond it, too? And was a training needed: then is it beyond the yardstick, another order
# of the batches? Where all answers of a question leave the gain alone, the paper's silence on it
# costs nothing. Where one moves the score and not the gain, two papers that took different answers
# must not be compared.

# %% tags=["hide-input"]
tables.Note("In one line", study.switch_summary(board))

# %% [markdown]
# ## Who assumes what
#
# A {term}`preset` is a set of answers under one name. `paper_literal` takes the paper at its word,
# `best_guess` repairs what cannot have been meant, `modern` is what one would build of the same
# parts today.

# %% tags=["hide-input"]
tables.Table(
    study.sides(),
    name="tab-presets",
    caption="Which answer each preset takes.",
    note="Questions of reading are no matter of presets: all pages read as the default has it, "
    "unless they say otherwise.",
)

# %% [markdown]
# ## What it means
#
# A silence that moves nothing costs nothing. One that moves the score alone makes two papers
# impossible to compare, and neither of them wrong. Only a switch that moves the gain bears on
# whether the model hears. That is the use of the list: a reader who doubts this book can name the
# assumption that the doubt is about, and throw it. One question of the list, which BLEU was
# meant, has a page of its own: {doc}`11_forensics`. What happens on the paper's own kind of data
# is on {doc}`13_samples`.

# %% [markdown]
# ## Exercises
#
# ```{exercise} Titles of at least three words
# :label: ex-12-1
#
# Before you look at its bar: `shortest_title` forbids answers below a number of words. Will the score
# of songs rise or fall? Will the gain?
# ```
#
# ```{solution} ex-12-1
# :label: sol-12-1
# :class: dropdown
#
# Where answers were shorter than titles, longer ones lose the brevity penalty and have more words to
# match, so the score tends to rise; but so does that of the same answers against wrong titles. The
# gain rises only if the added words fit their own song better than others. To throw it yourself:
# `-p switches "['shortest_title']"`; it trains nothing anew.
# ```
#
# ```{exercise} All at once
# :label: ex-12-2
#
# One switch at a time misses those that matter only *together*. `songtitle.experiment.switchboard.ASSUMPTIONS`
# lists the questions, each with one `default` and some `alternatives`. Compute `one_at_a_time`, the
# number of runs that throw one switch each, and `all_at_once`, the number of ways to answer all
# questions.
# ```
#
# ```{solution-start} ex-12-2
# :label: sol-12-2
# :class: dropdown
# ```
#
# A sum against a product. Nobody tries the product; one at a time is what can be afforded.

# %% tags=["solution"]
import math

from songtitle.experiment.switchboard import ASSUMPTIONS

one_at_a_time = sum(len(question.alternatives) for question in ASSUMPTIONS)
all_at_once = math.prod(1 + len(question.alternatives) for question in ASSUMPTIONS)
print(f"{one_at_a_time:,} against {all_at_once:,}")

# %% [markdown]
# ```{solution-end}
# ```

# %% tags=["check", "remove-cell"]
assert 0 < one_at_a_time < all_at_once

# %% tags=["hidden-check", "remove-cell"]
assert one_at_a_time == sum(len(question.alternatives) for question in ASSUMPTIONS)

# %% tags=["hidden-check", "remove-cell"]
assert all_at_once == math.prod(1 + len(question.alternatives) for question in ASSUMPTIONS)

# %% [markdown]
# ```{exercise} May they be compared?
# :label: ex-12-3
#
# Two papers took different answers to a question whose switch lifts the score and leaves the gain
# where it was. One prints the higher score. What can you say of their models?
# ```
#
# ```{solution} ex-12-3
# :label: sol-12-3
# :class: dropdown
#
# Nothing. The same model would score higher by the other answer, and so would one that knows nothing:
# the yardstick is another. Compare gains over chance, or score both in one way.
# ```

# %% tags=["remove-cell"]
for name, value in study.switched(board).items():
    glue(name, value, display=False)
