# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Break it yourself: does it pay to be wrong?
#
# Five mistakes that have been made in captioning, all of them by careful people. None of them stops
# a program; each just changes a number, and folklore says that the number goes *up*. Here each is a
# switch. Throw it, look at the score, and then at {term}`chance` beside it.
#
# | switch | the mistake |
# |---|---|
# | `break_tokens` | the score is given strings, not lists of words, and counts letters |
# | `break_batch_norm` | {term}`batch normalisation` is left in training mode when titles are made |
# | `break_length` | hypotheses are ranked by the sum of their log-probabilities, not by its mean per token |
# | `break_join` | songs are joined row by row with a list of titles in another order |
# | `break_scale` | the numbers of {term}`timbre` go in as they are, not standardised |

# %% tags=["parameters"]
preset: str = "quick"  # settings: tiny, quick, rehearsal, course, best_guess, modern or paper_literal
seed: int = 0  # whole number that all random choices are made from
device: str = "auto"  # where to compute: auto, cpu, cuda or mps
settings: dict = {}  # any others by dotted name, such as {"spectrogram.hop_length": 128}
corpora: str = None  # book, samples, paper, rehearsal or a TOML file; None: the preset's own
break_tokens: bool = True  # true: score strings, letter by letter; false: leave the mistake out
break_batch_norm: bool = True  # true: keep training mode on; false: leave the mistake out
break_length: bool = True  # true: rank by the sum; false: leave the mistake out
break_join: bool = True  # true: join row by row; false: leave the mistake out
break_scale: bool = True  # true: take timbre unscaled; false: leave the mistake out

# %% tags=["hide-input"]
from IPython.display import Markdown
from myst_nb import glue

from songtitle import config as presets
from songtitle import figures, tables
from songtitle.experiment import learning
from songtitle.experiment.labs import LABS, lab
from songtitle.studies import in_short
from songtitle.studies import switchboard as study

figures.use_house_style()
config = presets.preset(preset, settings, seed=seed, device=device, corpora=corpora)
thrown = [break_tokens, break_batch_norm, break_length, break_join, break_scale]
labs = [lab(config, name) for name, on in zip(LABS, thrown) if on]
tables.made_by(labs or [learning.training(config)], config)

# %% tags=["hide-input"]
in_short.labs(study.lab_frame(labs).to_dict("records") if labs else [])

# %% [markdown]
# ## Before and after
#
# Full marks are scores with their intervals over series, of one training; hollow marks are chance:
# what the same answers score against everybody else's titles. Look for a full mark that moves to the
# right, and then for the hollow mark of its colour. If it has come along, unrelated titles have
# "improved" just as much.

# %% mystnb={"figure": {"caption": "Scores before and after each mistake, with 95 % intervals over series, of one training; hollow: chance.", "name": "fig-labs"}, "image": {"alt": "One row for each mistake and input, with a circle before and a square after it, each with a bar of its interval over series, of one training, and hollow marks of the same shape for chance. Where a score moves, its hollow mark moves along."}} tags=["hide-input"]
if labs:
    study.before_and_after(study.lab_frame(labs))

# %% tags=["hide-input"]
columns = {
    "Lab": lambda row: study.NAMES[row["lab"]],
    "Input": "input",
    "Before": "{before_score:points} ({before_chance:points})",
    "After": "{after_score:points} ({after_chance:points})",
    "Score moves": study.MOVED.replace("N", "score"),
    "Gain moves": study.MOVED.replace("N", "gain"),
    "Other answers": "{changed:percent.0}",
    "Seconds": "{seconds:.1f}",
}
if labs:
    display(
        tables.Table(
            tables.tabulate(study.lab_frame(labs).to_dict("records"), columns),
            name="tab-labs",
            caption="Five mistakes: BLEU-1 in percent points before and after, chance in brackets.",
            note=study.lab_table_note(labs[0]),
        ),
        study.lab_note(labs),
    )

# %% [markdown]
# ## Why the score moves

# %% tags=["hide-input"]
Markdown(study.lab_reasons(labs))

# %% [markdown]
# ## What it means
#
# A score that rises is not a captioner that hears. Every mistake here would have passed as progress
# in a table without chance, and the ones that leave the score alone are no better for it: they show
# how little there was to lose. So print chance beside each score, and before you believe a rise, ask
# whether the wrong titles have risen too. {doc}`09_controls` does so with every score of the book, and
# {doc}`11_forensics` with every way of counting.

# %% [markdown]
# ## Exercises
#
# ```{exercise} A batch of two
# :label: ex-17-1
#
# Batch normalisation in training mode takes from each column its mean over the batch, and divides by
# its standard deviation over the batch. Write `normalised(batch)` for an array of items by columns.
# What becomes of *any* two different items?
# ```
#
# ```{solution-start} ex-17-1
# :label: sol-17-1
# :class: dropdown
# ```
#
# In each column one becomes $-1$ and the other $+1$, whatever they were: of two songs all that is left
# is which of them had more of each number. A song's answer then depends on its company.

# %% tags=["solution"]
import numpy as np

def normalised(batch):
    """Each column less its mean, over its standard deviation; items by columns."""
    return (batch - batch.mean(axis=0)) / batch.std(axis=0)
normalised(np.array([[1.0, 50.0], [3.0, -7.0]]))

# %% [markdown]
# ```{solution-end}
# ```

# %% tags=["check", "remove-cell"]
assert np.allclose(normalised(np.array([[1.0], [3.0]])), [[-1.0], [1.0]])

# %% tags=["hidden-check", "remove-cell"]
assert np.allclose(normalised(np.array([[1.0, 50.0], [3.0, -7.0]])), [[-1.0, 1.0], [1.0, -1.0]])
assert np.allclose(normalised(np.arange(12.0).reshape(4, 3)).mean(axis=0), 0)

# %% [markdown]
# ```{exercise} A join that flatters
# :label: ex-17-2
#
# A wrong join scores about what chance scores. Which wrong join could score *more* than chance,
# without any song having its own title?
# ```
#
# ```{solution} ex-17-2
# :label: sol-17-2
# :class: dropdown
#
# One that keeps something titles and answers share: joining within each length, or within each
# collection. Then the wrong title has the right length or the right kind of words. So a score above
# chance after a join proves the join only if the join cannot have kept anything but the song.
# ```
#
# ```{exercise} Sum or mean
# :label: ex-17-3
#
# The hypothesis of one word has log-probabilities `-2.5` for the word and `-1.5` for the end; that of
# three words `-2`, `-1`, `-1.5` and `-1.5`. Which one wins by the sum, which by the mean per token?
# ```
#
# ```{solution} ex-17-3
# :label: sol-17-3
# :class: dropdown
#
# By the sum the short one: $-4$ against $-6$. By the mean the long one: $-6/4 = -1.5$ against
# $-4/2 = -2$. Every word costs something, so a sum can only punish length.
# ```

# %% tags=["remove-cell"]
for name, value in study.lab_facts(labs).items():
    glue(name, value, display=False)
