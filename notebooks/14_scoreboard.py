# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Scoreboard: is it true?
#
# A paper says many things: numbers in tables, numbers in sentences, and sentences without
# numbers. Each of them is either right, or wrong, or cannot be told from here. This page lists
# what the paper says, one row each, with the numbers that decide and the page where they are
# shown. The numbers come from {term}`records <record>`, and so do the verdicts: no hand has
# written them.

# %% tags=["parameters"]
preset: str = "quick"  # any will do: nothing is run here, all published records are read

# %% tags=["hide-input"]
from myst_nb import glue

from songtitle import cache, figures
from songtitle.paper import judging
from songtitle.studies import in_short
from songtitle.studies import scoreboard as study

figures.use_house_style()
found = judging.verdicts(cache.results())
study.scoreboard_note(found)

# %% tags=["hide-input"]
in_short.scoreboard(each.verdict for each in found if each.kind != "inconsistency")

# %% [markdown]
# ## Four verdicts
#
# - **holds**: what was measured is what the paper says, within a tolerance that the ledger gives;
# - **fails**: it is not;
# - **not testable here**: nothing here was made on the data that the claim is about. The nearest
#   number stands beside it, and what would test it;
# - **inconsistent in the paper**: the paper says two things that cannot both be.
#
# A captioner trained on stamps says nothing about a score on Conceptual Captions, however near
# the two numbers are: such a cell of a table is *not testable here* until somebody makes a record
# on the paper's corpora. A sentence about how search behaves may be tried on other data; then the
# verdict says **tested on other data**, and a failure there does not refute what the paper saw.

# %% mystnb={"figure": {"caption": "Entries of the ledger by verdict: numbers that the paper prints, sentences that can be checked, and relations between its numbers that were worked out again.", "name": "fig-verdicts"}, "image": {"alt": "Three stacked bars, for numbers, sentences and inconsistencies, each cut by verdict into parts that carry their counts."}} tags=["hide-input"]
study.verdict_bars(study.verdict_counts(found));

# %% [markdown]
# Of {glue:text}`verdict.claims` claims, {glue:text}`verdict.holds` hold and
# {glue:text}`verdict.fails` fail; {glue:text}`verdict.not_testable_here` cannot be tested here, and
# {glue:text}`verdict.inconsistent_in_the_paper` stand against another part of the paper.
# {glue:text}`verdict.other_data` of the verdicts rest on other data than the paper's.
#
# ## Claims
#
# Sort by a column with the button in its head; search for any word, such as *beam* or *Table 4*.

# %% tags=["hide-input"]
study.Scoreboard(
    study.claim_rows(found),
    name="tab-scoreboard",
    caption="What the paper says, and what became of it.",
    note="Numbers in square brackets are intervals: of samples of the paper's own files at 99 %, of "
    "scores at the level that their own page gives. Two numbers are two ways to cut a text into words.",
)

# %% [markdown]
# ## Does the paper agree with itself?
#
# No data are needed to compare what is said in two places. Each row is worked out again from the
# numbers in the ledger when this page is made; where a number comes from elsewhere, or a word such
# as *slightly* had to be given a size, the source stands below the arithmetic. Most of these are
# slips that any long paper has. A few bear on how its scores came about.

# %% tags=["hide-input"]
study.Scoreboard(
    study.inconsistency_rows(found),
    name="tab-inconsistencies",
    caption="What does not fit together in the paper, and what was looked into and does.",
    note="Kinds: *number*, printed numbers that clash; *method*, a step that cannot have been as told; "
    "*wording*, a word that the numbers do not bear out; *outside*, a clash with a fact from elsewhere; "
    "*odd*, no contradiction, but not what one would expect; *agrees*, looked into and found sound.",
)

# %% [markdown]
# ## What it means
#
# A verdict is about a sentence, not about its author, and it lasts as long as its record: bring
# the corpus that a row asks for, and *not testable here* turns into one of the others. Two kinds
# of row deserve your time. Where the paper stands against itself, no new data can help; its
# author could. And where nothing is testable, the claim may well be true. What this book can
# offer is a way to find out: {doc}`../corpora` says where the data are, {doc}`../again` how to
# run it all on them.

# %% [markdown]
# ## Exercises
#
# ```{exercise} Failed, but where?
# :label: ex-14-1
#
# Choose the verdict *fails*. Which of these rest on other data than the paper's? For one of them,
# think of data on which it would hold.
# ```
#
# ```{solution} ex-14-1
# :label: sol-14-1
# :class: dropdown
#
# Those marked *tested on other data*. Take a claim of how a score moves with the beam: it would hold
# where the likeliest short answers happen to be as long as the references. Such a claim may be true
# where it was made and false here. What fails is its being general.
# ```
#
# ```{exercise} Mend a number
# :label: ex-14-2
#
# In `data_manifest/claims.toml` give the Million Song test vocabulary in the text the value that the
# paper's Table 3 has. Which rows change when you run this page again, and why more than one?
# ```
#
# ```{solution} ex-14-2
# :label: sol-14-2
# :class: dropdown
#
# The row of the number itself, and every row of the second table that is worked out from it: text and
# table now agree, so what was inconsistent no longer is. Rows are computed from the ledger, not
# written. Undo it afterwards: the ledger holds what the paper prints, not what it should.
# ```
#
# ```{exercise} A test of your own
# :label: ex-14-3
#
# Find a row whose last column asks for a corpus that you could fetch. What would you count, and which
# result would make the claim fail?
# ```
#
# ```{solution} ex-14-3
# :label: sol-14-3
# :class: dropdown
#
# Any number of a corpus will do: its size, a mean length, a share of short titles. Write down the
# count and the tolerance before you look; a claim fails when the count lies outside of it. One that no
# count could make fail says nothing.
# ```

# %% tags=["remove-cell"]
for name, value in study.verdict_facts(found).items():
    glue(name, value, display=False)
