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
# The paper trains on {term}`captions <caption>` and is tested on titles. Before any model, two
# facts about words bear on every score that follows: captions and titles differ in **length**,
# and they share few **words**. This page counts both.

# %% tags=["parameters"]
preset: str = "quick"  # settings: tiny, quick, rehearsal, course, best_guess, modern or paper_literal
seed: int = 0  # whole number that all random choices are made from
device: str = "auto"  # where to compute: auto, cpu, cuda or mps
settings: dict = {}  # any others by dotted name, such as {"spectrogram.hop_length": 128}
corpora: str = None  # book, samples, paper, rehearsal or a TOML file; None: the preset's own

# %% tags=["hide-input"]
import json

import matplotlib.pyplot as plt
from myst_nb import glue

from songtitle import config as presets
from songtitle import figures, fmt, tables
from songtitle.experiment import corpora as stages
from songtitle.experiment import paper_corpora
from songtitle.paper import printed
from songtitle.studies import corpora as study
from songtitle.studies import in_short

figures.use_house_style()
config = presets.preset(preset, settings, seed=seed, device=device, corpora=corpora)
record, words = stages.corpora(config), stages.vocabulary(config)
answers = paper_corpora.answers()
tables.made_by([record, words], config)

# %% tags=["hide-input"]
in_short.corpora(record, words)

# %% [markdown]
# ## What stands in for what
#
# The paper has three corpora: Conceptual Captions, Million Song and the Free Music Archive. Any
# preset can take any `corpora`; this run has these.

# %% tags=["hide-input"]
tables.Table(
    study.stand_ins(record, config),
    name="tab-stand-ins",
    caption="What stands here for each corpus of the paper.",
    note=config.material.about,
)

# %% [markdown]
# What comes with the book are **Tux Paint stamps**, drawn and photographed, each with a
# one-sentence caption, and **folk tunes**, two collections of real tunes with real titles: O'Neill's
# *Music of Ireland*, and Aird's, Ryan's and other airs. Both are split *by series*.
#
# A *series* is what hangs together: the drawings of one folder, all letters and digits of whatever
# alphabet, all money, and what equal captions link. A captioner that has seen *the letter B* knows
# how a caption of *the letter C* goes, so no series may lie on two sides. None of more than a tenth
# of a smaller split goes there while others suffice: a single series shall decide no test. Of the
# tunes a series is a family, the tunes of one title or one melody in all the books.
#
# The tunes are rendered from scores; they are not recordings. Who plays is a rule: the dance that a
# tune's sheet names in its `R:` field (reel, jig, slip jig, hornpipe, strathspey), or else its metre,
# chooses a pair of instruments, and the second of the pair plays where the key is minor, Dorian or
# Phrygian. A fiddle plays reels, a flute jigs, an accordion hornpipes. So the sound *does* tell
# something of a title, as a reel is often called one; the title itself is never looked at. With
# `instruments` set to `hash`, instruments are drawn by the tune's number and tell nothing. What they
# sound like is ours; their titles are the composers' and collectors'.

# The paper's own {term}`corpora <corpus>` are counted beside them, wherever they can be had: whole,
# where `fetch` has brought them; else as samples of real rows. {doc}`07_paper_corpora` tells which
# files these are.

# %% [markdown]
# ## Words, counted
#
# A title comes as its source printed it. *Cleaning* makes lower-case words of it, a list of them for
# each title; captions have gone the same way. The first test titles of each collection, cleaned:

# %%
import pandas as pd

from songtitle.text import clean_title, tokenize

songs = pd.read_json(record.file("songs.json"), dtype=False)  # a row for each test song
songs["words"] = [tokenize(clean_title(title)) for title in songs["printed"]]
songs.groupby("collection").head(3).set_index("printed")["words"]

# %% [markdown]
# Now the lengths. Each row of `sizes` is one caption or one title, of all that there are; pandas
# gives the mean, the spread (`std`), and the *percentiles*: so many in a hundred are no longer than
# this.

# %%
pictures = pd.read_json(record.file("pictures.json"))  # a row a picture, each with its captions
captions = pictures["captions"].explode()  # a row a caption, each a list of words
titles_of = json.loads(record.file("titles.json").read_text("utf-8"))  # collection -> its titles
sizes = pd.concat([
    pd.DataFrame({"of": record.result["captions"], "words": captions.str.len()}),
    *(pd.DataFrame({"of": name, "words": list(map(len, its))}) for name, its in titles_of.items()),
])
by_corpus = sizes.groupby("of")["words"]
print(by_corpus.describe(percentiles=[0.05, 0.5, 0.95]).round(2).T.to_string())

# %% [markdown]
# {numref}`fig-5` and {numref}`tab-1` are made of such counts, which the library keeps in a
# {term}`record`: how often each length occurs. Counted here and counted there must be the same, to
# the last title.

# %%
for name, words_each in by_corpus:
    how_often = words_each.value_counts().sort_index().rename(index=str)
    assert how_often.to_dict() == record.result["lengths"][name]  # what Figure 5 and Table 1 show

# %% [markdown]
# So a caption has {glue:text}`words.captions.mean:.2f` words here on average, a title
# {glue:text}`words.titles.mean:.2f`; and of a hundred titles, ninety-five have no more than
# {glue:text}`words.titles.p95:.0f`. The whole distributions, and the paper's beside them:

# %% mystnb={"figure": {"caption": "Figure 5 of the paper, redone: how many words a caption or a title has. Above: the stand-ins of this book. Below: the paper's own corpora, or what there is of them.", "name": "fig-5"}, "image": {"alt": "Six bar charts of length in words: above, captions of stamps and the titles of two collections of tunes; below, captions of Conceptual Captions and titles of Million Song and of the Free Music Archive."}} tags=["hide-input"]
figure, axes = plt.subplots(2, 3, figsize=(12, 7.2), layout="constrained")
for (name, lengths), axis in zip(study.panels(record, answers), axes.flat, strict=True):
    study.length_distribution(lengths, name=name, ax=axis)

# %% [markdown]
# In the paper captions are three times as long as titles, and so they are in its own corpora. The
# stamps have short captions, so with them the difference is small: keep this in mind when a score
# falls because an output is too long.

# %% tags=["hide-input"]
theirs, counts = printed.paper_table(1), record.result["lengths"]
counted = [["here", name, found, ""] for name, found in counts.items()]
for name, row in study.SAME_AS.items():
    if name in answers:
        about, found = answers[name].settings, answers[name].result["as_written"]["lengths"]
        counted.append([about["found"], about["corpus"], found, row])
rows = []
for where, corpus, found, row in counted:
    lengths = study.lengths_of(found)
    mean, spread = lengths.mean(), lengths.std()
    gap = fmt.minus(f"{mean - theirs.loc[row, 'mean_length']:+.2f}") if row else None
    size = [len(lengths), lengths.min(), lengths.max()]
    rows.append([where, corpus, *size, f"{mean:.2f}", f"{spread:.2f}", gap])
for row in theirs.itertuples(index=False):
    rows.append(["paper", *row[:4], *(f"{value:.2f}" for value in row[4:]), None])
columns = ["Counted", "Dataset", "Examples", "Min", "Max", "Mean", "SD", "Difference"]
tables.Table(
    pd.DataFrame(rows, columns=columns, dtype=object),
    name="tab-1",
    caption="Table 1. Lengths in words.",
    note="A word of the stand-ins is one that cleaning leaves; in the other rows it is what spaces "
    "part, as the paper's own numbers look. The difference is that of the mean from the paper's.",
)

# %% tags=["hide-input"]
of_test = pd.read_json(record.file("songs.json"), dtype=False)
columns = {
    f"{name} (here)": of_test.loc[of_test["collection"] == name, "title"].map(tables.shown)
    for name in dict.fromkeys(record.result["stands_for"].values())
}
columns |= {f"{name} (paper)": each for name, each in printed.paper_table(2).items()}
tables.Table(
    pd.DataFrame({name: pd.Series(list(each)[:5]) for name, each in columns.items()}),
    name="tab-2",
    caption="Table 2. Titles after cleaning.",
)

# %% [markdown]
# Cleaning lowercases, moves a trailing article to the front ("Garden of Daisies, The") and drops
# asides and punctuation. The paper also drops titles with {term}`named entities <named entity>`
# or words outside an English dictionary. That rule is **not applied here**: on folk tunes, most
# of which are named after people and places, it would leave little. What it does to real titles,
# and what it cannot have done to the paper's, is on {doc}`07_paper_corpora`.

# %% tags=["hide-input"]
here, theirs = record.result["title_words"], printed.paper_table(3)
rows = [["here", name, None, here["total"][name], here["test"][name]] for name in here["total"]]
for name, row in study.SAME_AS.items():
    if row != "cc" and name in answers:
        about, counted = answers[name].settings, answers[name].result
        distinct = [counted[part]["distinct_words"] for part in ("cleaned", "test") if part in counted]
        rows.append([about["found"], about["corpus"], counted["rows"], *distinct])
for dataset, row in (("Million Songs", "msd"), ("Free Music Archive", "fma")):
    size = int(printed.paper(f"table1.{row}.examples"))
    rows.append(["paper", dataset, size, theirs[row]["total"], theirs[row]["test"]])
columns = ["Counted", "Titles of", "Titles", "Words in all", "Words in the test set"]
tables.Table(
    pd.DataFrame(rows, columns=columns, dtype=object),
    name="tab-3",
    caption="Table 3. Distinct words in cleaned titles: all songs, and the test songs.",
    note="For its Million Song test set the paper prints "
    f"{printed.paper('table3.test.msd'):.0f} in this table and "
    f"{printed.paper('titles.msd.test_vocabulary'):.0f} in its text.",
)

# %% [markdown]
# ## No series on two sides
#
# Of the stamps, all letters and digits are one series, and the largest. How much of the largest is
# left for the test?

# %%
largest = pictures["series"] == pictures["series"].value_counts().index[0]
sides = pictures.assign(largest=largest).groupby("split").agg(
    pictures=("id", "size"), series=("series", "nunique"), largest=("largest", "sum")
)
assert sides["series"].sum() == pictures["series"].nunique()  # each on one side alone
sides

# %% [markdown]
# What near-duplicates are left across the split is counted in {numref}`tab-near`, where pictures
# have features to be near by.
#
# ## What the decoder can say
#
# The {term}`decoder` is the half of the captioner that writes. It can only say words that occur at
# least twice in the training captions; they are its {term}`vocabulary`. It takes three lines to
# make one:

# %%
learnt_from = pictures.loc[pictures["split"] == "train", "captions"].explode()
counts = learnt_from.explode().value_counts()  # word -> how often, the most frequent first
known = set(counts[counts >= config.min_count].index)
assert len(known) + 4 == words.result["size"]  # the library counts four marks, such as <unk>, too
counts.head(5)

# %% [markdown]
# How far do these words reach in titles? Ask it of every word as it comes (*running words*), of
# every word once (*distinct words*), and of whole titles.

# %%
titles = pd.read_json(record.file("songs.json"))["tokens"]  # of the test songs, as words
running = titles.explode().dropna()  # all their words; a title of no words has none
shares = pd.Series({
    "running words": running.isin(known).mean(),
    "distinct words": pd.Series(running.unique()).isin(known).mean(),
    "titles with a known word": titles.map(lambda title: not known.isdisjoint(title)).mean(),
})
for name, share in shares.items():
    assert abs(share - words.result["known"][name]) < 1e-9  # what the table below shows
shares.round(3)

# %% [markdown]
# Would it help to keep rarer words? Below, the share of running words that are known if a word has
# to occur once, twice, four or eight times in the training captions. Once is all that there is:
# what is missing there, no caption of these has ever said.

# %%
reached = {least: running.isin(counts[counts >= least].index).mean() for least in (1, 2, 4, 8)}
pd.Series(reached).round(3)

# %% tags=["hide-input"]
tables.Table(
    tables.tabulate(
        [{"of": name, "share": share} for name, share in words.result["known"].items()],
        {"Of the test titles": "of", "Known": "{share:percent}"},
    ),
    name="tab-reach",
    caption="Words of the test titles that the decoder knows.",
    note="A title all of whose words are unknown scores zero, whatever the model hears.",
)

# %% [markdown]
# ## What it means
#
# A caption is one kind of text, a title is another. A model that learns from the one and is asked
# for the other starts behind, before a note is played: {numref}`tab-reach` counts how few words
# it has for the task, and {numref}`fig-5` how long its answers will be if they are as long as
# what it has read. So a part of every score, high or low, is settled here. How much of it is
# length is the question of {doc}`10_length`. What the paper's own lists hold is the question of
# {doc}`07_paper_corpora`. From words to pictures and sound: {doc}`02_inputs`.

# %% [markdown]
# ## Exercises
#
# ```{exercise} Precision by hand
# :label: ex-01-1
#
# A title of three words is answered by a caption of six words that contains all three. What is its
# {term}`unigram` precision? What if the caption has three words, of which two are right? Which answer
# does precision prefer, and which would you?
# ```
#
# ```{solution} ex-01-1
# :label: sol-01-1
# :class: dropdown
#
# $3/6$, and $2/3$. Precision prefers the second, though only the first holds the whole title: every
# word too many costs, a word that is missing does not, as long as the answer is not shorter than the
# title. That is why the lengths on this page matter before any model is trained.
# ```
#
# ```{exercise} As far as the words reach
# :label: ex-01-2
#
# A decoder can only say words that it knows. `songs.json` in `record.folder` holds the test titles
# (`tokens` of each), `vocabulary.json` in `words.folder` the known `words`. Compute `nameable`: the
# share of test titles all of whose words are known, between 0 and 1.
# ```
#
# ```{solution-start} ex-01-2
# :label: sol-01-2
# :class: dropdown
# ```
#
# No decoder with this vocabulary can name a larger share in full, whatever it hears. The same number
# stands in {numref}`tab-reach`.

# %% tags=["solution"]
songs = json.loads(record.file("songs.json").read_text("utf-8"))
known = set(json.loads(words.file("vocabulary.json").read_text("utf-8"))["words"])
nameable = sum(set(song["tokens"]) <= known for song in songs) / len(songs)
nameable

# %% [markdown]
# ```{solution-end}
# ```

# %% tags=["check", "remove-cell"]
assert 0 <= nameable <= 1

# %% tags=["hidden-check", "remove-cell"]
assert abs(nameable - words.result["known"]["titles of known words only"]) < 1e-9

# %% [markdown]
# ```{exercise} Another seed
# :label: ex-01-3
#
# Run this page with `-p seed 1`. Before you look: which numbers must move, which cannot, and why?
# ```
#
# ```{solution} ex-01-3
# :label: sol-01-3
# :class: dropdown
#
# The seed draws the test songs and deals the pictures out to training, validation and test. So what
# is counted of test titles moves, and so does the decoder's vocabulary, which is made of training
# captions alone. Lengths are counted over all captions and all titles, and cannot move; nor can
# anything that was counted in the paper's own corpora.
# ```

# %% tags=["remove-cell"]
of_titles = sizes.loc[sizes["of"] != record.result["captions"], "words"]
own = {"words.captions.mean": float(captions.str.len().mean())}
own["words.titles.mean"] = float(of_titles.mean())
own["words.titles.p95"] = float(of_titles.quantile(0.95))
for name, value in (tables.facts(record) | tables.facts(words) | own).items():
    glue(name, value, display=False)
