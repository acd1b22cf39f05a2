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
# In the paper every score rises from {term}`greedy search` to *k* = 5, and is lower beyond. A
# wider {term}`beam` does two things at once: it finds *other words*, and, since every further
# word costs {term}`log-probability`, it stops *sooner*. {term}`BLEU` answers to both. This page
# takes them apart.

# %% tags=["parameters"]
preset: str = "quick"  # settings: tiny, quick, rehearsal, course, best_guess, modern or paper_literal
seed: int = 0  # whole number that all random choices are made from
device: str = "auto"  # where to compute: auto, cpu, cuda or mps
settings: dict = {}  # any others by dotted name, such as {"spectrogram.hop_length": 128}
corpora: str = None  # book, samples, paper, rehearsal or a TOML file; None: the preset's own

# %% tags=["hide-input"]
import matplotlib.pyplot as plt
import pandas as pd
from myst_nb import glue

from songtitle import config as presets
from songtitle import figures, tables
from songtitle.experiment import naming, scoring
from songtitle.metrics import bleu
from songtitle.studies import in_short
from songtitle.studies import search as study

figures.use_house_style()
config = presets.preset(preset, settings, seed=seed, device=device, corpora=corpora)
scored, record = scoring.scores(config), scoring.lengths(config)
scores = scoring.score_table(config)
tables.made_by([scored, record], config)

# %% tags=["hide-input"]
in_short.length(record)

# %% [markdown]
# ## Figure 8a, with lengths under it
#
# Above, the score of each input by beam size, and chance in the same colour. Below, how long the
# best hypotheses are. Where a score moves, look straight down: does the length move there too? And
# does chance, which knows nothing of the input, move along with the score?

# %% mystnb={"figure": {"caption": "Figure 8a of the paper, redone with what it leaves out: above, BLEU-1 by beam size with 95 % intervals, chance dashed in the same colour; below, the mean length of the best hypotheses.", "name": "fig-length"}, "image": {"alt": "Two panels over the same beam sizes. Above, one line of BLEU-1 with interval bars for each input of Table 4 and a dashed line of chance for each; below, one line of mean length in words for each input."}} tags=["hide-input"]
study.score_and_length(scores);

# %% [markdown]
# ## What a prefix scores
#
# The plainest way to change length alone is to cut. Here are the greedy titles, kept to their first
# 1 to 10 words and scored again, by words and by letters (a string given to a BLEU program that
# expects a list is scored letter by letter). No word is chosen anew; the rest is length. A curve
# goes flat where titles have no further words to cut.

# %% mystnb={"figure": {"caption": "Greedy hypotheses cut to their first words: BLEU-1 of words (left) and of letters (right) with 95 % intervals, chance dashed in the same colour.", "name": "fig-prefix"}, "image": {"alt": "Two panels of BLEU-1 against the number of words kept, one line with a shaded interval for each of the two song inputs and for whole pictures, and a dashed line of chance for each."}} tags=["hide-input"]
found = pd.DataFrame(record.result["prefixes"])
figure, axes = plt.subplots(1, 2, figsize=(10, 4))
for (name, rows), ax in zip(found.groupby("definition", sort=False), axes):
    study.score_by_prefix(rows, ax).set_title(bleu.DEFINITIONS[name].name)

# %% [markdown]
# ## The same curve, from counts
#
# Two things make BLEU-1. {term}`Precision <precision>` is the share of the words kept that the title
# has too. The {term}`brevity penalty` falls on what is shorter than its title. Both follow from
# three counts, so count: one row for every song and every length, for greedy titles by
# {term}`spectrogram`.

# %%
from collections import Counter

import numpy as np
import pandas as pd

from songtitle.experiment.corpora import clips, song_titles
from songtitle.experiment.naming import best_of

reading = "songs: spectrogram"
greedy = best_of(naming.hypotheses(config, reading, 1))  # a list of words for each song
titles = song_titles(clips(config), reading)  # likewise, in the same order

rows = []
for kept in range(1, 11):
    for answer, title in zip(greedy, titles):
        cut = answer[:kept]
        both = Counter(cut) & Counter(title)  # a word counts as often as both have it
        rows.append([kept, len(cut), len(title), sum(both.values())])
counts = pd.DataFrame(rows, columns=["kept", "words", "of title", "found"])  # (lengths × songs, 4)

# %% [markdown]
# Columns for the two parts and their product, then the mean over songs at each length. (The product
# is taken song by song; the mean of products is not the product of means.)

# %%
words = counts["words"].clip(lower=1)  # nothing said: nothing found, and a score of 0
counts["precision"] = counts["found"] / words
counts["penalty"] = np.exp((1 - counts["of title"] / words).clip(upper=0))
counts["score"] = counts["precision"] * counts["penalty"]
curve = counts.groupby("kept")[["words", "precision", "penalty", "score"]].mean()

# `found` is what the figure above was drawn from
library = found[(found["input"] == reading) & (found["definition"] == "bleu1")].set_index("kept")
assert np.allclose(curve["score"], library["score"], rtol=0, atol=1e-9)  # the curve by words
assert np.allclose(curve["words"], library["words"], rtol=0, atol=1e-9)  # mean lengths

# %% mystnb={"figure": {"caption": "The two parts of BLEU-1, and their product, when greedy titles by spectrogram are cut to their first words; means over songs.", "name": "fig-two-parts"}, "image": {"alt": "Two panels against the number of words kept, in percent: on the left precision and the brevity penalty, on the right the BLEU-1 score that they make together."}} tags=["hide-input"]
figure, axes = plt.subplots(1, 2, figsize=(10, 3.6))
percent, best = 100 * curve, curve["score"].idxmax()
percent[["precision", "penalty"]].plot(ax=axes[0], style=["o-", "s--"], color=["C0", "C1"])
percent[["score"]].plot(ax=axes[1], style="D-", color="C2", legend=False)
for ax, title in zip(axes, ("Its two parts", "BLEU-1")):
    ax.set(title=title, xlabel="words kept", ylim=(0, None), xticks=curve.index)
axes[0].set_ylabel("precision, brevity penalty (percent)")
axes[1].set_ylabel("BLEU-1 (percent points)")
first, last = percent.iloc[0].round(1), percent.iloc[-1].round(1)
drawn = percent.reset_index()
figures.hand_on(
    axes[0],
    drawn[["kept", "precision", "penalty"]],
    f"from the fewest words to the most, precision goes from {first['precision']} to "
    f"{last['precision']} % and the brevity penalty from {first['penalty']} to {last['penalty']} %",
)
figures.hand_on(
    axes[1],
    drawn[["kept", "score"]],
    f"highest of {len(curve)} lengths, {percent['score'].max():.1f} points, with {best} kept",
)
figure.tight_layout();

# %% [markdown]
# With every word kept the penalty can only ease, whatever the words are: it asks for length alone.
# Precision rises where further words are right more often than those before them, and falls where
# they are not. {glue:text}`length.best`

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
cell = "{PART:signed}\n[{PART_low:points}, {PART_high:points}]"
columns = {
    "Input": "input",
    "BLEU of": lambda row: bleu.DEFINITIONS[row["definition"]].name,
    "k": "{first} → {second}",
    "Words": "{first_words:.2f} → {second_words:.2f}",
    "Score": "{first_score:points} → {second_score:points}",
    "Change": cell.replace("PART", "change"),
    "by length": cell.replace("PART", "length"),
    "by words": cell.replace("PART", "content"),
    "Change of chance": "{change_chance:signed}",
    "What it is": study.explanation,
}
tables.Table(
    tables.tabulate(record.result["steps"], columns),
    name="tab-length",
    caption="Every beam effect split into length and words, in percent points with 95 % intervals.",
    note=tables.definition_note(record),
)

# %% tags=["hide-input"]
study.length_note(record)

# %% [markdown]
# ## Does it rise and then fall?
#
# {glue:text}`length.paper` The table says what ours do, from greedy search to the paper's best
# beam and from there to the widest, where a move whose interval holds 0 counts as level.

# %% tags=["hide-input"]
steps = pd.DataFrame(record.result["steps"])
steps["way"] = [
    "level" if study.holds_nothing(row, "change") else "up" if row["change"] > 0 else "down"
    for row in record.result["steps"]
]
ways = steps.groupby(["input", "definition"], sort=False)["way"].agg(", then ".join).reset_index()
ways["definition"] = [bleu.DEFINITIONS[name].name for name in ways["definition"]]
tables.Table(
    ways.set_axis(["Input", "BLEU of", "Shape"], axis="columns"),
    name="tab-shape",
    caption="Which way scores go, from k = 1 to 5 and from 5 to the widest beam.",
)

# %% [markdown]
# ## What it means
#
# Where a change is length alone, no better words were found, only a better length. Where
# {term}`chance` moves along with the score, the change has nothing to do with any song. So two
# searches can be compared only when their lengths are printed, or held equal. The paper prints
# scores without lengths; whether length alone could give its rise and fall is asked in
# {doc}`11_forensics`. Where the beams come from: {doc}`04_search`.

# %% [markdown]
# ## Exercises
#
# ```{exercise} Per word
# :label: ex-10-1
#
# `SearchConfig(length_penalty=1)` ranks hypotheses by log-probability per word, the end counted as
# one. Predict what that does to the lower panel of the first figure.
# ```
#
# ```{solution} ex-10-1
# :label: sol-10-1
# :class: dropdown
#
# A further word no longer lowers the rank by itself, only if it is less likely than the words before
# it on average. So wide beams have no reason left to prefer short titles, and the lines of the lower
# panel should fall less, or rise. {doc}`17_labs` tries both ways on the same model.
# ```
#
# ```{exercise} A score from counts
# :label: ex-10-2
#
# BLEU-1 of one sentence needs three counts: words that match, words said, words wanted. Write
# `bleu1(matches, said, wanted)`: the share of said words that match, times $e^{1 - w/s}$ where fewer
# words are said ($s$) than wanted ($w$). Which answer to a title of three words scores higher: one
# word, which is right, or the same word with two wrong ones?
# ```
#
# ```{solution-start} ex-10-2
# :label: sol-10-2
# :class: dropdown
# ```
#
# The longer one: $1/3$ against $e^{-2} \approx 0.14$. Two wrong words pay, since they buy off the
# penalty for being short. Length alone moves the score.

# %% tags=["solution"]
import math

def bleu1(matches, said, wanted):
    """BLEU-1 in [0, 1] of one sentence, from its counts of words."""
    return matches / said * math.exp(min(0, 1 - wanted / said))

# %% [markdown]
# ```{solution-end}
# ```

# %% tags=["check", "remove-cell"]
assert abs(bleu1(1, 2, 2) - 0.5) < 1e-9

# %% tags=["hidden-check", "remove-cell"]
assert abs(bleu1(1, 1, 3) - math.exp(-2)) < 1e-9
assert abs(bleu1(3, 6, 3) - 0.5) < 1e-9

# %% [markdown]
# ```{exercise} All length, all words
# :label: ex-10-3
#
# Think of a captioner whose every beam effect is length alone, and of one whose every effect is words
# alone. What does {numref}`tab-length` show for each?
# ```
#
# ```{solution} ex-10-3
# :label: sol-10-3
# :class: dropdown
#
# One that always recites the same sentence and only decides where to stop: all of its effect stands
# under length, nothing under words. One that always says, for instance, four words, others with a
# wider beam: all under words. And whoever prints one more number per cell, the mean length of the
# outputs, lets readers see which of the two they are looking at. The paper prints none.
# ```

# %% tags=["remove-cell"]
for name, value in study.steps_explained(record).items():
    glue(f"length.{name}", value, display=False)
glue("length.best", study.best_length(curve["score"]), display=False)
glue("length.paper", study.shapes_of_the_paper(), display=False)
