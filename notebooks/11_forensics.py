# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Forensics: what was counted?
#
# The paper calls its score "unigram {term}`BLEU` precision" and prints Table 4. Songs that this
# book names are scored in {numref}`tab-4`, with the paper's cells below. Where the two differ,
# something else differs: the data, the model, or **what was counted**. This page looks at the
# last.

# %% tags=["parameters"]
preset: str = "quick"  # settings: tiny, quick, rehearsal, course, best_guess, modern or paper_literal
seed: int = 0  # whole number that all random choices are made from
device: str = "auto"  # where to compute: auto, cpu, cuda or mps
settings: dict = {}  # any others by dotted name, such as {"spectrogram.hop_length": 128}
corpora: str = None  # book, samples, paper, rehearsal or a TOML file; None: the preset's own
beam_sizes: list[int] = None  # one at least as in Table 4; None: the preset's own
draws: int = None  # random drawings of each control; None: the preset's own

# %% tags=["hide-input"]
import matplotlib.pyplot as plt
import pandas as pd
from myst_nb import glue

from songtitle import config as presets
from songtitle import figures, fmt, tables
from songtitle.experiment import forensics, paper_corpora
from songtitle.metrics import bleu
from songtitle.paper import printed
from songtitle.studies import forensics as study
from songtitle.studies import in_short
from songtitle.studies import training

figures.use_house_style()
changes = {"beam_sizes": beam_sizes, "draws": draws}
config = presets.preset(preset, settings, seed=seed, device=device, corpora=corpora, **changes)
here, record = forensics.content_free(config), forensics.readings(config)
real = paper_corpora.answers("content_free").get("content_free")
tables.made_by([here, record], config)

# %% tags=["hide-input"]
in_short.forensics(study.within_reach(study.constants(here, real)), record.result)

# %% [markdown]
# ## A list of words, or a string?
#
# BLEU counts how many pieces of a hypothesis are found in the reference. Which pieces? Whatever the
# function is given. The usual libraries want a **list of words**. Give them a **string**, and in
# Python nothing complains: a string is a list too, of letters. So
# `sentence_bleu(["georgia man"], "a dog")` runs, and counts letters, blanks included. It is an easy
# slip. Two English phrases share few words, but nearly always an *a*, an *e*, a blank.
#
# Below, one caption of this book's pictures is scored against one of the titles that the paper
# prints. They have nothing to do with each other. Six definitions, all of them called BLEU by
# somebody:

# %% tags=["hide-input"]
caption = training.example_caption(config)
title = str(printed.paper_table(2).iloc[0, 0]).split()  # the first of the paper's sample titles
rows = [
    [each.name, each.signature, fmt.points(bleu.score([caption], [[title]], each).score)]
    for each in bleu.DEFINITIONS.values()
]
tables.Table(
    pd.DataFrame(rows, columns=["Definition", "Signature", "Score of the example"]),
    name="tab-definitions",
    caption=f"“{tables.plain(' '.join(caption))}” against “{tables.plain(' '.join(title))}”, in percent points.",
    note="NLTK up to 3.2.5 took four orders by default and left out those without a match.",
)

# %% [markdown]
# ## The slip, in six lines
#
# The function below counts, as {doc}`05_titles` does, how many pieces of one thing are found in
# another. It never asks what a piece is. `Counter` takes a list by words and a string by letters,
# and `len` does the same, so the one function gives both numbers.

# %%
import math
from collections import Counter

from songtitle.metrics import bleu

def bleu_1(said, wanted):
    """BLEU-1 in [0, 1] of whatever is counted: the words of a list, the letters of a string."""
    found = sum((Counter(said) & Counter(wanted)).values())
    return found / len(said) * min(1, math.exp(1 - len(wanted) / len(said)))

by_words = bleu_1(caption, title)  # two lists of words
by_letters = bleu_1(" ".join(caption), " ".join(title))  # two strings, blanks included

# %% [markdown]
# The same pair gets {glue:text}`slip.words:.1f` points by words and {glue:text}`slip.letters:.1f` by
# letters. Both numbers are rows of {numref}`tab-definitions`.

# %%
for name, mine in {"bleu1": by_words, "letters": by_letters}.items():
    library = bleu.score([caption], [[title]], bleu.DEFINITIONS[name])
    assert abs(mine - library.score) < 1e-9  # a definition of the library, one caption, one title

# %% [markdown]
# ## What does nothing score?
#
# Before a score is admired, ask what it is without any information. Here captions are drawn at
# random and held against titles drawn at random, and against other captions: no model, no picture,
# no sound. *Whole*, and cut to their first four words, about as long as a title.
#
# The first rows are of this book's own pictures and tunes, which stand where the paper has
# Million Song and FMA. The others, where they are shown, are of **the paper's own kind of text**:
# captions of Conceptual Captions, titles of Million Song and of FMA, in lower case and split at
# spaces *as written*, and *cleaned* by this book's rules. The paper's own cleaning is not told in
# full, and the two differ by points: more than any interval here. The last two columns are what
# the paper's trained model reached.

# %% tags=["hide-input"]
tables.Table(
    study.content_free(here, real),
    name="tab-content-free",
    caption="Captions that have nothing to do with what they are scored against.",
    note=study.content_free_note(here, real),
)

# %% [markdown]
# A caption drawn at random is a poor guess. Who hears nothing may still know what titles are like:
# below, for each definition, is **one text said of every title**, the best that a search finds on
# one half of the titles, scored on the other. (The search takes word after word, or letter after
# letter, whichever adds most. Under the NLTK weights, better texts may exist.)

# %% tags=["hide-input"]
tables.Table(
    study.constants_table(here, real),
    name="tab-constants",
    caption="The best constant answer to every title, by definition, in percent points.",
    note="± is the SD of a test of a thousand titles, or of as many as there are. Within reach: the "
    "paper's cells for the same kind of title that are no more than two of these above the score. "
    "A text of letters is what a string is to BLEU.",
)

# %% [markdown]
# ## Why would a beam make it better, then worse?
#
# The paper's scores rise from {term}`greedy search` to *k* = 5, then fall. Wide beams prefer
# short outputs ({doc}`10_length`). So cut captions to *n* words and let *n* run: a curve that
# needs no model. Against titles, letters give a hill: one word is too short (the
# {term}`brevity penalty`), a whole caption too long (its letters find no partner), and the top
# lies where the output is as long as a title. A search whose outputs shrink as *k* grows would
# walk over that hill from right to left. Against other captions of ten words the curve climbs
# nearly to its end: there, shrinking only costs. So length alone could give the two rows of songs
# the form of a rise and a fall, not the rows of pictures their rise. Is the hill high enough?
# Look for the paper's marks.

# %% mystnb={"figure": {"caption": "Scores of the first words of random captions, by words (left) and by letters (right). To the right of the line: the paper's cells for the same kind of reference.", "name": "fig-prefixes"}, "image": {"alt": "Panels in pairs, by words on the left and by letters on the right: score in percent points against the words kept of a random caption, one curve for each kind of reference, and to the right of a line the paper's own cells, greedy and best."}} tags=["hide-input"]
panels = study.prefix_panels(here, real)
figure, axes = plt.subplots(len(panels) // 2, 2, figsize=(11, 2.2 * len(panels)), squeeze=False)
for axis, (name, curves, cells) in zip(axes.flat, panels):
    study.prefix_curves(curves, cells, axis).set_title(name)
for axis in axes[:, 1]:
    axis.legend(loc="upper left", frameon=False)
figure.tight_layout();

# %% [markdown]
# ## Every way at once
#
# Six definitions; and of a beam's {term}`hypotheses <hypothesis>` one may score the likeliest
# (*top*), the likeliest per word (*normalised*), the *mean* of all or the *best*, which looks at
# the answer. (Of wide beams this book keeps the five likeliest; "mean" and "best" are of those.)
# Each way gives a table like the paper's; the number in each square is its mean distance from the
# paper's, in points.
#
# Three kinds of control stand to the right. The same outputs beside **wrong references**: what a
# way gives when the input cannot matter. **Captions alone**, cut to the length that fits best,
# whole, and as long as this run's outputs are at each *k*.

# %% mystnb={"figure": {"caption": "Mean distance from the paper's Table 4 in percent points: dark is near. Rows: definitions. Columns: which hypothesis is scored, with right and wrong references, and captions that know nothing.", "name": "fig-forensics"}, "image": {"alt": "Two heat maps of the distance from the paper's table in percent points, over all its cells and over those of songs: ways to count in rows, what is scored in columns."}} tags=["hide-input"]
maps = study.distance_maps(record)
most = max(distances.to_numpy().max() for _, distances in maps)
figure, axes = plt.subplots(2, 1, figsize=(12, 9.5), layout="constrained")
for axis, (name, distances) in zip(axes, maps):
    study.distance_map(distances, most=most, ax=axis).set_title(name, pad=42)

# %% [markdown]
# ## How much of that is choosing?
#
# Try enough ways and one will fit. So three questions to each winner. How near would as many
# **blind guesses** have come, each a random number for each kind of input? Does a way that was
# chosen *without* the Million Song row hold on it, and where does it rank there? And does it beat
# writing **one number** into every cell?

# %% tags=["hide-input"]
tables.Table(
    study.nearest(record),
    name="tab-forensics",
    caption="The nearest way of each source, and what it is worth. Distances in percent points.",
    note="Chosen without Million Song: the way of least distance over all other cells. Rank: among "
    "the ways of its source, on Million Song. One number: the median of the cells chosen on.",
)

# %% [markdown]
# ## Distance, and what luck makes of it
#
# Both are quickly computed. First the distances: the record has what this run scores in every cell
# and every way, beside the paper's number for that cell.

# %%
import numpy as np
import pandas as pd

source = "this run's outputs"
scores = pd.DataFrame(record.result["scores"])  # a row for each cell and way; scores in [0, 1]
scores["away"] = (scores["score"] - scores["paper"]).abs()
by_way = scores.groupby(["definition", "choice"])["away"].mean()  # (ways,)

for row in record.result["distances"]:
    if row["source"] == source:  # the squares of the map above, left part
        assert abs(by_way[row["definition"], row["choice"]] - row["all"]) < 1e-9

# %% [markdown]
# Now without any way of scoring. The one number that lies nearest to many is their median.

# %%
cells = scores.drop_duplicates(["input", "beam_size"])  # a row for each cell of the table
paper = cells["paper"].to_numpy()  # (cells,)
one_number = np.abs(paper - np.median(paper)).mean()
assert abs(one_number - record.result["one_number"]["all"]["all"]) < 1e-9  # the library's

# %% [markdown]
# Last, blind guesses: for each of three kinds of input (pictures, songs by timbre, songs by
# spectrogram) a number between 0 and 1 drawn by lot, as many guesses as there were ways, and of these
# the nearest. Many such rounds give the mean. The library drew its own rounds, so the two means may
# differ by luck: by five standard errors at most.

# %%
rounds, tried = 500, len(by_way)
kinds = cells["input"].map(lambda name: presets.Input.of(name).reading)
column, names = pd.factorize(kinds)  # (cells,): which of the kinds a cell is of
rng = np.random.default_rng(seed + 1)  # other draws than the library's
guesses = rng.random((rounds, tried, len(names)))[:, :, column]  # (rounds, ways, cells)
nearest = np.abs(guesses - paper).mean(axis=2).min(axis=1)  # (rounds,)

luck = record.result["luck"][source]["mean"]
assert abs(nearest.mean() - luck) < 5 * nearest.std() * np.sqrt(2 / rounds)  # the library's draws

# %% [markdown]
# So the nearest of {glue:text}`luck.tried:.0f` ways to score these outputs lies
# {glue:text}`luck.nearest:.1f` points from the paper's table, one number in every cell
# {glue:text}`luck.one:.1f`, and the best of as many blind guesses {glue:text}`luck.blind:.1f`. A way
# has to be much nearer than these before its nearness says anything.

# %% [markdown]
# ## What it means
#
# First what the numbers say, in words that the records choose. The same definitions on outputs of
# real photos are on {doc}`13_samples`; what became of the paper's claims is on {doc}`14_scoreboard`.

# %% tags=["hide-input"]
study.forensic_note(record, here, real)

# %% [markdown]
# ## Exercises
#
# ```{exercise} Nothing in common
# :label: ex-11-1
#
# Find `phrase`, a list of two words, neither of which is in the title “georgia man”, that scores above
# `0.8` against it by letters: `bleu.score([phrase], [[["georgia", "man"]]],
# bleu.DEFINITIONS["letters"])` (`from songtitle.metrics import bleu`).
# ```
#
# ```{solution-start} ex-11-1
# :label: sol-11-1
# :class: dropdown
# ```
#
# An anagram scores all points by letters and none by words.

# %% tags=["solution"]
from songtitle.metrics import bleu

phrase = ["organ", "image"]
bleu.score([phrase], [[["georgia", "man"]]], bleu.DEFINITIONS["letters"]).score

# %% [markdown]
# ```{solution-end}
# ```

# %% tags=["check", "remove-cell"]
assert len(phrase) == 2 and not {"georgia", "man"} & set(phrase)

# %% tags=["hidden-check", "remove-cell"]
assert bleu.score([phrase], [[["georgia", "man"]]], bleu.DEFINITIONS["letters"]).score > 0.8
assert len(phrase) == 2 and not {"georgia", "man"} & set(phrase)

# %% [markdown]
# ```{exercise} Fewer draws
# :label: ex-11-2
#
# Run this notebook with `-p draws 5` in place of the preset's twenty. By about which factor will the
# intervals of {numref}`tab-content-free` grow? Which kind of doubt do they *not* cover?
# ```
#
# ```{solution} ex-11-2
# :label: sol-11-2
# :class: dropdown
#
# The standard error of a mean falls with the root of the number of draws, so it doubles; Student's
# factor adds a little more with so few. The intervals only cover which captions and titles were
# drawn. They say nothing of how titles were cleaned, of another corpus, or of whether the paper
# counted this way at all.
# ```
#
# ```{exercise} One file
# :label: ex-11-3
#
# You may ask the author of the paper for one file. Which, and what would you do with it? Write down
# beforehand which result would change your mind, in either direction.
# ```
#
# ```{solution} ex-11-3
# :label: sol-11-3
# :class: dropdown
#
# The outputs with their references, line by line. Scoring them by every definition takes seconds. If
# words give Table 4, the suspicion of this page falls; if letters do, it is confirmed; if neither
# does, something else was counted. A checkpoint would be worth less: it leaves the counting open.
# ```

# %% tags=["remove-cell"]
for name, value in tables.facts(record).items():
    glue(f"readings.{name}", value, display=False)
glue("slip.words", 100 * by_words, display=False)
glue("slip.letters", 100 * by_letters, display=False)
values = {"nearest": by_way.min(), "one": one_number, "blind": nearest.mean()}
for name, value in values.items():
    glue(f"luck.{name}", 100 * float(value), display=False)
glue("luck.tried", tried, display=False)
