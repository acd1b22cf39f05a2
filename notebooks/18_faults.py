# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # What happens when something goes wrong?
#
# Power fails, a disk is full, a download breaks off, a file is not what its name says. Programs are
# mostly written for days on which none of this happens. Here it was made to happen, again and again:
# each fault was **planted**, not imagined, and each time counts as survived only if what was there
# before is intact, nothing is left half written, and the reader gets either the result or one line
# that says what to do.

# %% tags=["parameters"]
preset: str = "quick"  # any will do: nothing is planted here, the page shows what `make test-faults` left

# %% tags=["hide-input"]
import pandas as pd
from myst_nb import glue

from songtitle import figures, tables
from songtitle.studies import in_short
from songtitle.studies import software as study

figures.use_house_style()
found = study.faults()
study.fault_note(found)

# %% tags=["hide-input"]
in_short.faults(found)

# %% mystnb={"figure": {"caption": "Times that faults were planted, by group.", "name": "fig-faults"}, "image": {"alt": "One row for each group of faults on a logarithmic axis: a hollow dot for how often each fault was planted and a full one for the group; a square marks a group in which something was lost."}} tags=["hide-input"]
study.fault_dots(pd.DataFrame(found["rows"]));

# %% tags=["hide-input"]
columns = {"What happens when …": "name", "What you get": "outcome"}
columns |= {"Tried": "tried", "Survived": "survived", "Lost": "lost"}
tables.Table(
    tables.tabulate(found["rows"], columns),
    name="tab-faults",
    caption="What happens when ... : faults, how often each was planted, and what became of it.",
)

# %% [markdown]
# ## What it means
#
# Of {glue:text}`faults.tried:,.0f` faults of {glue:text}`faults.kinds:.0f` kinds,
# {glue:text}`faults.survived:,.0f` were survived and {glue:text}`faults.lost:,.0f` brought a loss. So you
# may stop a run at any moment, and the same command goes on: a finished {term}`stage` leaves a
# {term}`record`, and an unfinished one leaves none ({doc}`../again`). You may give it your whole
# folder of music, and one bad file will not cost you the titles of the others ({doc}`../your_music`).
#
# No number of trials proves that a loss cannot happen; the exercises ask how much this one says. And
# surviving has its price in time, which {doc}`08_speed` counts.

# %% [markdown]
# ## Exercises
#
# ```{exercise} Nothing in so many tries
# :label: ex-18-1
#
# A fault was planted $n$ times and never brought a loss. If each time brings one with probability
# $p$, independently, that happens with probability $(1-p)^n$. Write `at_most(n)`: the largest $p$
# with which so much luck would still come about in one case of twenty.
# ```
#
# ```{solution-start} ex-18-1
# :label: sol-18-1
# :class: dropdown
# ```
#
# Solve $(1-p)^n = 1/20$ for $p$. For large $n$ that is about $3/n$, since $\ln 20$ is about three: the
# *rule of three*.

# %% tags=["solution"]
def at_most(n):
    """The largest probability of a loss that n tries without one leave open, one case in twenty."""
    return 1 - (1 / 20) ** (1 / n)

at_most(10_000)

# %% [markdown]
# ```{solution-end}
# ```

# %% tags=["check", "remove-cell"]
assert abs(at_most(1) - 0.95) < 1e-9

# %% tags=["hidden-check", "remove-cell"]
assert abs(at_most(2) - (1 - 20**-0.5)) < 1e-9
assert abs(at_most(10_000) * 10_000 - 3) < 0.01

# %% [markdown]
# ```{exercise} Aside, then renamed
# :label: ex-18-2
#
# A file is to be replaced, and the power may fail at any moment. One program opens the old file and
# writes the new content over it. Another writes the content to a new name, and then gives the new
# file the old one's name. What can a reader find after the failure in either case?
# ```
#
# ```{solution} ex-18-2
# :label: sol-18-2
# :class: dropdown
#
# After the first: the old content, the new one, or the beginning of the new one, which looks like a
# file and is none. After the second: the old content or the new one, whole, since a name points at
# one file or at the other, and a leftover under a name that nobody asks for. The second is how
# records, checkpoints and downloads are written here.
# ```

# %% tags=["remove-cell"]
for name, value in study.fault_facts(found).items():
    glue(name, value, display=False)
