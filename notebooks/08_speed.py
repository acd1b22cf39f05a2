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
# library does with a named peer, or with a *limit*: the arithmetic that cannot be avoided, and
# nothing else, timed in the same run. The results are checked for equality before any clock runs.

# %% tags=["parameters"]
preset = "quick"  # any will do: nothing is measured here, the page shows what `make bench` left

# %% tags=["hide-input"]
from songtitle import plots, report, tables

plots.use_house_style()
found = report.benchmarks()
report.speed_note(found)

# %% mystnb={"figure": {"caption": "Every measured ratio that has a bound, relative to that bound.", "name": "fig-speed"}, "image": {"alt": "One dot for each bounded ratio, relative to its bound at one; dots on the left of the line meet their bound, dots on the right miss it."}} tags=["hide-input"]
plots.ratio_bars(report.ratios(found));

# %% tags=["hide-input"]
tables.Table(
    report.ratio_table(found),
    name="tab-speed",
    caption="What was measured, against whom, and whether it met its bound.",
)

# %% [markdown]
# ## How time grows
#
# On logarithmic axes a power law is a straight line, and its slope is the exponent: 1 means that
# twice the work takes twice the time, 0 that it takes no longer.

# %% mystnb={"figure": {"caption": "Time against size, with fitted exponents.", "name": "fig-growth"}, "image": {"alt": "Lines on logarithmic axes: seconds against the size of the work, one line for each measured thing, its fitted exponent in the legend."}} tags=["hide-input"]
plots.growth_lines(report.growths(found, "seconds"));

# %% mystnb={"figure": {"caption": "Memory against size, with fitted exponents.", "name": "fig-memory"}, "image": {"alt": "Lines on logarithmic axes: megabytes against the size of the work, one line for each measured thing, its fitted exponent in the legend. Lines that stay flat belong to work that streams."}} tags=["hide-input"]
plots.growth_lines(report.growths(found, "MB"));

# %% [markdown]
# ## Exercises
#
# 1. Beam search multiplies one vector per hypothesis with a matrix of the whole vocabulary. By which
#    factor does that work grow from *k* = 1 to *k* = 20? Compare with the exponent above.
# 2. Run `.venv/bin/python -m benchmarks beam` on your machine. Which ratio changes most, and which
#    part of the machine explains it?
# 3. Why must a fair comparison check that two ways give the same result *before* timing them?
