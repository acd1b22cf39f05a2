# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # The paper's corpora: are they what the paper says?
#
# The stand-ins of this book are small. The paper's own {term}`corpora <corpus>` are large, old, and
# partly gone. This
# page counts them wherever they can be had: whole in the data home, where
# `python -m songtitle fetch NAME` puts them; else as samples of real rows; else as the makers of
# this book counted them. Every number here rests on named files with a sha256.

# %% tags=["parameters"]
preset: str = "quick"  # any will do: nothing here is trained

# %% tags=["hide-input"]
import matplotlib.pyplot as plt
import pandas as pd
from myst_nb import glue

from songtitle import figures, tables
from songtitle.experiment import paper_corpora
from songtitle.studies import corpora as study
from songtitle.studies import in_short

figures.use_house_style()
answers = paper_corpora.answers()
study.census_note(answers)

# %% tags=["hide-input"]
in_short.paper_corpora(answers)

# %% tags=["hide-input"]
tables.Table(
    study.census(answers),
    name="tab-census",
    caption="What was counted, on which files.",
    note="A fault is a row skipped, or read with a remark. To count again: "
    "`python -m songtitle count NAME`.",
)

# %% [markdown]
# ## How many pictures are left?
#
# Conceptual Captions is a list of addresses, not of pictures. The paper could not download about
# one in ten. Somebody asked for every picture of the validation part in January 2019, before the
# paper appeared, and kept the answers.

# %% mystnb={"figure": {"caption": "Links that gave a picture, by host, for the twelve hosts with most links; in brackets the number of links. Bars are 95 % intervals (Wilson).", "name": "fig-links"}, "image": {"alt": "Hosts on the vertical axis, each with the share of its links that gave a picture and a 95 percent interval; a dashed line marks the share of all links."}} tags=["hide-input"]
hosts, alive = study.links_by_host(answers)
figure, axis = plt.subplots(figsize=(8, 4.6), layout="constrained")
study.link_survival(hosts, total=alive, ax=axis);

# %% tags=["hide-input"]
tables.Table(study.lost_links(answers), name="tab-links", caption="Why links gave no picture.")

# %% [markdown]
# The large hosts lose next to nothing; what is lost stood on the many small ones. So the survivors
# are no random sample. Does that shift what the captions say?

# %% tags=["hide-input"]
tables.Table(
    study.shift(answers),
    name="tab-shift",
    caption="Captions whose picture was there, and captions whose picture was lost.",
    note="Lengths: Kolmogorov and Smirnov's distance. Words: Jensen and Shannon's distance between "
    "the two distributions, beside its mean where captions are dealt out at random.",
)

# %% [markdown]
# ## Whose title is it?
#
# The paper takes {term}`timbre` from UCI's *YearPredictionMSD* and says that it put a column of
# titles in the place of the column of years. UCI's rows carry no ids. The list with titles and
# years is sorted **by year**; UCI's rows are not. What if the two were joined row by row?

# %% mystnb={"figure": {"caption": "The year of each row in two lists of the same songs: timbre in the order of its file, titles sorted by year. Joined row by row, a song gets the title of another.", "name": "fig-orders"}, "image": {"alt": "Two clouds of dots: the year of a song over its row number, in the list of timbre and in the list of titles."}} tags=["hide-input"]
years, names, every = study.years_by_row(answers)
figure, axis = plt.subplots(figsize=(8, 4.2), layout="constrained")
study.two_orders(years, names, every=every, ax=axis);

# %% tags=["hide-input"]
display(
    tables.Table(study.timbre(answers), name="tab-timbre", caption="90 numbers, computed again."),
    tables.Table(study.joins(answers), name="tab-joins", caption="Joins of timbre with titles."),
)

# %% [markdown]
# Numbers computed again from a track's file say which row is that track's, whatever its title: they
# anchor a join. UCI prints five decimals, so half of the last place is as close as one can come.
#
# *Repaired*: each row gets a song of its year. That the years then agree is no surprise; the test
# is that such a join exists at all. A row is *certain* where no other song is possible.
# *Anchored*: some tracks are known, since their 90 numbers were computed again from their HDF5
# files. The *made-up* catalogue has the size of the paper's and real years; its rows are in the
# order of its list, with as many songs left out as the paper has pairs too many, so *aligning*
# the two sequences of years finds the gaps.
#
# If the paper joined row by row, its Million Song scores are an accidental {term}`control`:
# timbre of one song, title of another. Nothing in the paper says which join was made, so this
# stays a question. {doc}`13_samples` puts it to a test.
#
# ## Which titles are left after cleaning?
#
# The paper drops titles that hold a {term}`named entity`. NLTK finds names by their capital
# letters. The paper also lowercases. In which order?

# %% mystnb={"figure": {"caption": "Titles left after each step of the paper's cleaning, with names looked for before or after lowercasing.", "name": "fig-funnel"}, "image": {"alt": "Horizontal bars of the titles left after each step of cleaning, in pairs: names looked for before lowercasing, and after."}} tags=["hide-input"]
figure, axes = plt.subplots(2, 1, figsize=(8, 7.4), layout="constrained")
for axis, name in zip(axes, ("fma_names", "song_names"), strict=True):
    study.title_funnel(study.funnels(answers, name), axis)
    axis.set_title(study.need(answers, name).settings["corpus"])

# %% tags=["hide-input"]
columns = ["Title", "With Capitals", "in lower case"]
found = study.need(answers, "song_names").result["table_2"]  # title -> by letter case: is it a name?
rows = [[title, *("a name" if each else "none" for each in said)] for title, said in found.items()]
display(
    tables.Table(study.named(answers), name="tab-names", caption="Titles with a named entity."),
    tables.Table(pd.DataFrame(rows, columns=columns), name="tab-samples", caption="Table 2's titles."),
)

# %% [markdown]
# These ten passed the paper's cleaning. With capitals put back by us, one to each word, most of them
# would not have; in lower case the rule finds nothing to take away, in them or in next to any title.
# Which of the two was done stays a question: the titles' own capitals are not printed.
#
# ## How long is a clip?

# %% tags=["hide-input"]
tables.Table(
    study.sounds(answers), name="tab-clips", caption="Clips of fma_small, decoded to their end."
)

# %% [markdown]
# ## What it means
#
# A list of addresses is not a collection of pictures: what is left of one is no random part of
# it, and no two readers get the same. A count can be checked by whoever has the file. A join
# cannot, unless its author says how it was made. So two doubts begin on this page and cannot be
# ended from outside: whether each song got its own title, and what cleaning took away.
# {doc}`13_samples` tries a right and a wrong join on real tracks; {doc}`14_scoreboard` keeps the
# account. To count for yourself: {doc}`../corpora`.

# %% [markdown]
# ## Exercises
#
# ```{exercise} A song is missing
# :label: ex-07-1
#
# Four songs of a list share a year; the rows have only three of them, in the list's order. How many
# rows can no longer be told apart by their years? You learn for certain that the second row is the
# third song. Which rows are settled by that, and which not?
# ```
#
# ```{solution} ex-07-1
# :label: sol-07-1
# :class: dropdown
#
# All three: each row may be the song in its own place or the next one, depending on which is missing.
# If the second row is the third song, the missing one comes before it, so the third row is the fourth
# song. The first row may still be the first or the second song. An anchor settles the side on which
# nothing can be missing any more, and leaves the other open.
# ```
#
# ```{exercise} Names and capitals
# :label: ex-07-2
#
# Write down five titles you know, with their capitals. Which hold a name, for you? Which would a rule
# take away that finds names by their capitals, and what is left of that rule in lower case?
# ```
#
# ```{solution} ex-07-2
# :label: sol-07-2
# :class: dropdown
#
# Titles are written with capitals whether or not they name anybody, so a rule that goes by capitals
# takes away many that hold no name. In lower case the clue is gone and hardly any is taken away, those
# with real names included. Either way the rule measures how titles are printed. To try yours:
# `songtitle.text.named_entities`, where NLTK's data are fetched.
# ```
#
# ```{exercise} How far may a sample lie?
# :label: ex-07-3
#
# A sample of $n = 10000$ titles has a standard deviation of $s = 1.9$ words. How far may its mean
# lie from that of all titles, at 95 percent? How large must a sample be to halve that?
# ```
#
# ```{solution} ex-07-3
# :label: sol-07-3
# :class: dropdown
#
# $1.96 \cdot s/\sqrt{n} = 1.96 \cdot 1.9/100 \approx 0.04$ words. To halve it takes four times as many.
# So where a sample's mean is off by more than this, the samples are not the reason; other titles, or
# another way to count words, are.
# ```

# %% tags=["remove-cell"]
for name, record in answers.items():
    for key, value in tables.facts(record).items():
        if ".lengths." not in key:
            glue(f"{name}.{key}", value, display=False)
