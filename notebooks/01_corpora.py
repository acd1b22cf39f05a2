# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Corpora: how long is a caption, how long is a title?
#
# The paper trains on captions and is tested on titles. Before any model, two facts about words
# bear on every score that follows: captions and titles differ in **length**, and they share few
# **words**. This page counts both.

# %% tags=["parameters"]
preset = "quick"
seed = 0
device = "auto"

# %% tags=["hide-input"]
import matplotlib.pyplot as plt
from myst_nb import glue

from songtitle import claims, experiment, plots, presets, report, tables

plots.use_house_style()
config = presets.preset(preset, seed=seed, device=device)
record, words = experiment.corpora(config), experiment.vocabulary(config)
answers = experiment.census()
tables.made_by([record, words], config)

# %% [markdown]
# ## What stands in for what
#
# | in the paper | here | what it is |
# |---|---|---|
# | Conceptual Captions, millions of web pictures | **Tux Paint stamps** | drawn and photographed stamps, each with a one-sentence caption, split into training, validation and test *by caption* |
# | Million Song Dataset, Free Music Archive | **folk tunes** | two collections of real tunes with real titles: O'Neill's *Music of Ireland*, and Aird's, Ryan's and other airs |
#
# The tunes are rendered from scores with a seeded choice of instrument; they are not recordings.
# What they sound like is ours; their titles are the composers' and collectors'.

# The paper's own corpora are counted beside them, wherever they can be had: whole, where `fetch`
# has brought them; else as samples of real rows. [The paper's corpora](07_paper_corpora) tells
# which files these are.

# %% mystnb={"figure": {"caption": "Figure 5 of the paper, redone: how many words a caption or a title has. Above: the stand-ins of this book. Below: the paper's own corpora, or what there is of them.", "name": "fig-5"}, "image": {"alt": "Six bar charts of length in words: above, captions of stamps and the titles of two collections of tunes; below, captions of Conceptual Captions and titles of Million Song and of the Free Music Archive. Each names its number of examples, its mean and its longest."}} tags=["hide-input"]
figure, axes = plt.subplots(2, 3, figsize=(12, 7.2), layout="constrained")
for (name, lengths), axis in zip(report.panels(record, answers), axes.flat, strict=True):
    plots.length_distribution(lengths, name=name, ax=axis)

# %% [markdown]
# In the paper captions are three times as long as titles, and so they are in its own corpora. The
# stamps have short captions, so with them the difference is small: keep this in mind when a score
# falls because an output is too long.

# %% tags=["hide-input"]
tables.Table(
    report.table_1(record, answers),
    name="tab-1",
    caption="Table 1. Lengths in words.",
    note="A word of the stand-ins is one that cleaning leaves; in the other rows it is what spaces "
    "part, as the paper's own numbers look. The difference is that of the mean from the paper's.",
)

# %% tags=["hide-input"]
tables.Table(report.table_2(record), name="tab-2", caption="Table 2. Titles after cleaning.")

# %% [markdown]
# Cleaning lowercases, moves a trailing article to the front ("Garden of Daisies, The") and drops
# asides and punctuation. The paper also drops titles with named entities or words outside an
# English dictionary. That rule is **not applied here**: on folk tunes, most of which are named
# after people and places, it would leave little. What it does to real titles, and what it cannot
# have done to the paper's, is on [its own page](07_paper_corpora).

# %% tags=["hide-input"]
tables.Table(
    report.table_3(record, answers),
    name="tab-3",
    caption="Table 3. Distinct words in cleaned titles: all songs, and the test songs.",
    note="For its Million Song test set the paper prints "
    f"{claims.paper('table3.test.msd'):.0f} in this table and "
    f"{claims.paper('titles.msd.test_vocabulary'):.0f} in its text.",
)

# %% [markdown]
# ## What the decoder can say
#
# The decoder can only say words that occur at least twice in the training captions.

# %% tags=["hide-input"]
tables.Table(
    report.reach(words),
    name="tab-reach",
    caption="Words of the test titles that the decoder knows.",
    note="A title all of whose words are unknown scores zero, whatever the model hears.",
)

# %% [markdown]
# ## Exercises
#
# 1. A title of three words is answered by a caption of six words that contains all three. What is
#    its unigram precision? What if the caption has three words, of which two are right?
# 2. Which share of the test titles could *any* decoder with this vocabulary name in full? Which
#    words would have to be in the captions to double it? (`songs.json` in `record.folder` and
#    `vocabulary.json` in `words.folder` hold both lists.)
# 3. Run this page with `-p seed 1`. Which numbers move, which do not, and why?

# %% tags=["remove-cell"]
for name, value in (report.facts(record) | report.facts(words)).items():
    glue(name, value, display=False)
