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
# what the paper says, one row each, with the numbers that decide and the table where they are
# shown. Verdicts are worked out when the page is made, from all {term}`records <record>` there are
# and from the numbers that the paper prints. What is ours is the list of what to compare, and how
# much a word such as *about* allows; each such size stands beside its verdict, with its source.
#
# That this page can exist is to the credit of the paper's author, who printed sizes, settings,
# scores and sources in such detail that a stranger can hold them side by side; few papers, and this
# book is no exception, come out of such a reading without a slip.

# %% tags=["parameters"]
preset: str = "quick"  # any will do: nothing is run here, all published records are read

# %% tags=["hide-input"]
from myst_nb import glue

from songtitle import cache, figures
from songtitle.paper import judging
from songtitle.studies import in_short
from songtitle.studies import scoreboard as study
from songtitle.tables import Table

figures.use_house_style()
found = judging.verdicts(cache.results())
study.scoreboard_note(found)

# %% tags=["hide-input"]
in_short.scoreboard(each.verdict for each in found if each.kind in ("number", "sentence"))

# %% [markdown]
# ## Five words
#
# - **holds**: what was measured is what the paper says, and all of its interval is within the
#   tolerance that the ledger gives; *no worse* and *no gain* mean by less than the smallest effect
#   that matters, a setting (`smallest_effect`);
# - **fails**: it is not, and no part of its interval is; or a fact from elsewhere is against it;
# - **cannot be tested here**: either nothing here was made on the data that the claim is about (*not
#   testable*), or what there is leaves it open (*cannot tell*): an interval that is too wide, a
#   sample that is not random, records that disagree. The nearest number stands beside it, and what
#   would test it. Some claims *no record can tell*: what only its author knows, or nothing measures;
# - **contradicts itself**: the paper says two things that cannot both be;
# - **odd**: a remark. No two things clash, but a reader should know it.
#
# A captioner trained on stamps says nothing about a score on Conceptual Captions, however near
# the two numbers are: such a cell of a table *cannot be tested here* until somebody makes a record
# on the paper's corpora. A sentence about how search behaves may be tried on other data; then the
# verdict says **tested on other data**, and a failure there does not refute what the paper saw. Of
# several records the nearest to the paper decides: one on its corpora before one on samples of their
# kind, these before what comes with the book. What it leaves open no other settles; those that tell
# stand beside it, for the claim or against it. A rehearsal, on made-up corpora, decides nothing.

# %% mystnb={"figure": {"caption": "Entries of the ledger by verdict: numbers that the paper prints, sentences that can be checked, and relations between what it says in several places.", "name": "fig-verdicts"}, "image": {"alt": "Three stacked bars, for numbers, sentences and relations, each cut by verdict into parts that carry their counts."}} tags=["hide-input"]
study.verdict_bars(study.verdict_counts(found));

# %% [markdown]
# Of {glue:text}`verdict.claims` claims, {glue:text}`verdict.holds` hold and
# {glue:text}`verdict.fails` fail; {glue:text}`verdict.cannot_be_tested_here` cannot be tested here
# ({glue:text}`verdict.beyond` of them by no record that this experiment could make), and
# {glue:text}`verdict.contradicts_itself` stand against another part of the paper.
# {glue:text}`verdict.other_data` of the verdicts rest on other data than the paper's. Of
# {glue:text}`verdict.relations` relations, {glue:text}`verdict.related.holds` hold,
# {glue:text}`verdict.related.contradicts_itself` contradict, {glue:text}`verdict.related.fails` fail
# against a fact from elsewhere, and {glue:text}`verdict.related.odd` are remarks.
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
# No data are needed to compare what is said in several places. Each row is worked out again from the
# numbers in the ledger when this page is made; where a number comes from elsewhere, or a word had to
# be given a size, the source stands below. Where there is no number to compare, the paper's words
# stand side by side, and it is for you to judge.

# %% tags=["hide-input"]
study.Scoreboard(
    study.relation_rows(found),
    name="tab-relations",
    caption="What does not fit together in the paper, what is odd, and what was looked into and fits.",
    note="Kinds: *number*, numbers that are printed; *method*, a step; *outside*, a fact from elsewhere; "
    "*odd*, not what one would expect. A word that we gave a size, such as *slightly*, never contradicts.",
)

# %% [markdown]
# ## Questions
#
# Some things the paper does not say. That is no fault: nobody writes down everything, and it may have
# been done as one would wish. But they bear on what its scores mean, so each stands here with a test
# of what would follow, and without a verdict.

# %% tags=["hide-input"]
Table(
    study.question_rows(found),
    name="tab-questions",
    caption="What the paper leaves unsaid.",
)

# %% [markdown]
# ## What it means
#
# A verdict is about a sentence, not about its author, and it lasts as long as its record: bring
# the corpus that a row asks for, and *cannot be tested here* turns into one of the others. Two kinds
# of row deserve your time. Where the paper contradicts itself, no new data can help; its
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
# Those marked *tested on other data*. Take the claim that the smallest tiles score best: it would
# hold where captions name details rather than scenes. Such a claim may be true where it was made and
# false here. What fails is its being general.
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
# table now agree, so what contradicted no longer does. Rows are computed from the ledger, not
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
