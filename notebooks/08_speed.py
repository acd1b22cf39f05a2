# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Speed: how near is it to what the machine can do?
#
# A time says little: machines differ. A **ratio** says more. Each row below compares what this
# library does, such as {term}`beam search`, with a named peer, or with a *limit*: the arithmetic
# that cannot be avoided, and nothing else, timed in the same run. The results are checked for equality before any clock runs.

# %% tags=["parameters"]
preset: str = "quick"  # any will do: nothing is measured here, the page shows what `make bench` left

# %% tags=["hide-input"]
import pandas as pd

from songtitle import figures, tables
from songtitle.studies import in_short
from songtitle.studies import software as study

figures.use_house_style()
found = study.benchmarks()
study.speed_note(found)

# %% tags=["hide-input"]
in_short.speed(found)

# %% mystnb={"figure": {"caption": "Every measured ratio that has a bound, relative to that bound.", "name": "fig-speed"}, "image": {"alt": "One dot for each bounded ratio, relative to its bound at one; dots on the left of the line meet their bound, dots on the right miss it."}} tags=["hide-input"]
study.ratio_bars(pd.json_normalize(found, "rows", ["subject"]));

# %% tags=["hide-input"]
tables.Table(
    study.ratio_table(found),
    name="tab-speed",
    caption="What was measured, against whom, and whether it met its bound.",
)

# %% [markdown]
# ## How time grows
#
# On logarithmic axes a power law is a straight line, and its slope is the exponent: 1 means that
# twice the work takes twice the time, 0 that it takes no longer.

# %% mystnb={"figure": {"caption": "Time against size, with fitted exponents.", "name": "fig-growth"}, "image": {"alt": "Lines on logarithmic axes: seconds against the size of the work, one line for each measured thing, its fitted exponent in the legend."}} tags=["hide-input"]
growth = pd.json_normalize(found, "growth", ["subject"])
study.growth_lines(growth[growth["unit"] == "seconds"]);

# %% mystnb={"figure": {"caption": "Memory against size, with fitted exponents.", "name": "fig-memory"}, "image": {"alt": "Lines on logarithmic axes: megabytes against the size of the work, one line for each measured thing, its fitted exponent in the legend."}} tags=["hide-input"]
study.growth_lines(growth[growth["unit"] == "MB"]);

# %% [markdown]
# ## What it means
#
# A ratio at its bound says that clever code has little left to give there; only other hardware,
# or less work, would be faster. A ratio beyond its bound names the next thing to mend. And the
# exponents tell what a longer run will cost before you start it: multiply the size, raise to the
# exponent. {doc}`../again` lists the presets, small and large. What a wider beam brings for its time
# is on {doc}`04_search`.

# %% [markdown]
# ## Exercises
#
# ```{exercise} Twenty hypotheses at a time
# :label: ex-08-1
#
# Beam search multiplies one vector per hypothesis with a matrix of the whole vocabulary. By which
# factor does that work grow from *k* = 1 to *k* = 20? Why may the time grow less?
# ```
#
# ```{solution} ex-08-1
# :label: sol-08-1
# :class: dropdown
#
# By twenty. But for one vector the machine spends its time fetching the matrix from memory, and
# fetches it only once for twenty. As long as fetching is the longer part, more hypotheses are nearly
# free, and the exponent lies below 1.
# ```
#
# ```{exercise} An exponent
# :label: ex-08-2
#
# If time is $c\,n^p$, its logarithm is a straight line over that of $n$, with slope $p$. Write
# `exponent(sizes, seconds)`, which fits that line (`numpy.polyfit`) and returns the slope.
# ```
#
# ```{solution-start} ex-08-2
# :label: sol-08-2
# :class: dropdown
# ```

# %% tags=["solution"]
import numpy as np

def exponent(sizes, seconds):
    """The slope of a line through the points on logarithmic axes."""
    return np.polyfit(np.log(sizes), np.log(seconds), 1)[0]

# %% [markdown]
# ```{solution-end}
# ```

# %% tags=["check", "remove-cell"]
assert abs(exponent([1, 2, 4], [3, 6, 12]) - 1) < 1e-6

# %% tags=["hidden-check", "remove-cell"]
assert abs(exponent([1, 10, 100], [2, 2, 2])) < 1e-6
assert abs(exponent([1, 2, 4], [5, 20, 80]) - 2) < 1e-6

# %% [markdown]
# ```{exercise} First the same, then faster
# :label: ex-08-3
#
# Why must a fair comparison check that two ways give the same result *before* it times them?
# ```
#
# ```{solution} ex-08-3
# :label: sol-08-3
# :class: dropdown
#
# Because the quickest way to do anything is not to do it. A search that stops too soon, or a score
# that skips what is hard, is fast for a bad reason, and the ratio would praise the fault.
# ```
