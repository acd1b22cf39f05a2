# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # What we found, and what we could not: is it true?
#
# The paper says that a {term}`captioner` of pictures names songs. This page gathers what the other
# pages found, says where they could not look, and what would change our mind.

# %% tags=["parameters"]
preset: str = "quick"  # settings: tiny, quick, course, best_guess, modern or paper_literal
seed: int = 0  # whole number that all random choices are made from
device: str = "auto"  # where to compute: auto, cpu, cuda or mps
settings: dict = {}  # any others by dotted name, such as {"spectrogram.hop_length": 128}

# %% tags=["hide-input"]
import pandas as pd
from myst_nb import glue

from songtitle import cache, figures, tables
from songtitle import config as presets
from songtitle.experiment import baselines, controls, corpora, learning, listening
from songtitle.experiment import scoring, similarity
from songtitle.experiment.samples import track_listening
from songtitle.studies import findings as study
from songtitle.studies import in_short, samples, search, training
from songtitle.studies import listening as study_listening

figures.use_house_style()
config = presets.preset(preset, settings, seed=seed, device=device)
trained, seeds = learning.training(config), cache.published(controls.replicates, config)
several = search.over_trainings(scoring.score_table(config), seeds)
real = samples.samples()
summaries = (each.result["summary"] for each in (seeds, real))  # over several trainings
sampled = presets.preset("samples")
others = [baselines.baselines(config), samples.as_samples(cache.published(baselines.baselines, sampled))]
heard = [listening.listening(config), cache.published(track_listening, sampled)]
rows = study.answer_rows(*summaries, [row for each in others for row in each.result["rows"]])
answer = study.plain_answer(rows, [row for each in heard for row in study_listening.hearing(each)])
tables.made_by([scoring.scores(config), trained, seeds, real, *others, *heard], config)

# %% tags=["hide-input"]
in_short.in_short(answer)

# %% [markdown]
# ## The answer in one picture
#
# Each row is one subject, each mark one way to come to a score: what the paper prints, what this
# book measured, and what needs no hearing and no seeing at all. A captioner that hears stands to
# the right of {term}`chance`, of a constant answer, and of a neighbour's caption.
# {glue:text}`answer.left_out`

# %% mystnb={"figure": {"caption": "Scores of the paper and of this book, beside what needs no model, at the paper's best beam size. Bars are 95 % intervals.", "name": "fig-answer"}, "image": {"alt": "One row for each kind of picture and song; in each a circle for the paper's score, a square with its interval for this book's, a triangle for chance, and further marks for a constant and a nearest neighbour where they were measured."}} tags=["hide-input"]
study.answer_dots(rows);

# %% [markdown]
# ## Page by page
#
# What each page says in short, from the same records.

# %% tags=["hide-input"]
pages = {
    "01_corpora": in_short.corpora(corpora.corpora(config), corpora.vocabulary(config)),
    "03_training": in_short.training(trained.result, training.unknown_share(config, trained)),
    "04_search": in_short.search(several.to_dict("records")),
    "06_similarity": in_short.similarity(similarity.likeness(config)),
    "09_controls": in_short.controls(controls.controls(config)),
    "10_length": in_short.length(scoring.lengths(config)),
    "13_samples": in_short.samples(real),
    "16_detective": in_short.detective(),
}
cells = [[tables.Markup(f"{{doc}}`{name}`", bare=name), said.text] for name, said in pages.items()]
tables.Table(
    pd.DataFrame(cells, columns=["Page", "What it found"], dtype=object),
    name="tab-findings",
    caption="Findings, page by page.",
)

# %% [markdown]
# ## What we could not find out
#
# - **The paper's own run.** Its code, its outputs and its split of the data were not published. This
#   book trains on thousands of times fewer pictures; a failure here is no failure there.
# - **How its scores were counted.** {doc}`11_forensics` shows what other ways of counting would give.
#   Which way it was, no number can say.
# - **Which title went with which song.** {doc}`07_paper_corpora` asks; only the author knows.
# - **Small effects.** An interval that holds 0 does not say that nothing is there. What is smaller
#   than a point of BLEU-1 may have escaped us, and most words of titles can never be said by a
#   captioner that has never met them.
# - **Other ears.** Two readings of sound were tried, because they are the paper's. A network
#   trained on music hears more, and is another experiment.
#
# ## What would change our mind
#
# - The paper's outputs beside its titles, line by line: scored again by words, near the printed
#   table, they would refute the doubts of {doc}`11_forensics`.
# - A captioner, trained on pictures alone, that ranks the true titles of unseen songs above those of
#   others, with all songs of an artist on one side and the interval above 0 in a second run by
#   somebody else.
# - An error in this book: a {term}`control` that hears, or a planted signal that goes unheard. The
#   tests plant both; write to us if you find one that they miss.
#
# ## A checklist, filled in
#
# REFORMS {cite:p}`kapoor2024` asks of science that rests on machine learning what its readers need
# to know. Its items are in our words here. Where the answer is *no* or *in part*, that is a limit of
# this book.

# %% tags=["hide-input"]
tables.Table(
    study.reforms(), name="tab-reforms", caption="REFORMS, answered for this book.",
)

# %% [markdown]
# ## What it means
#
# A null result is worth as much as the chance that it gave the other answer. So before you believe
# the first box of this page, go to {doc}`09_controls`, see what would have been found there, and
# look for what the table above leaves open.

# %% [markdown]
# ## Exercises
#
# ```{exercise} Which would you mend first?
# :label: ex-19-1
#
# Choose an item of the checklist that is answered *in part*. What would it cost to make it a *yes*,
# and which sentence of this book might change by that?
# ```
#
# ```{solution} ex-19-1
# :label: sol-19-1
# :class: dropdown
#
# For instance *representative data*: train on a few hundred thousand web pictures, which takes days
# and a disk. The level of every score might change, and with it whether small gains can be seen at
# all; that timbre of another song does as well might not.
# ```
#
# ```{exercise} Your own bet
# :label: ex-19-2
#
# Write down which result of a larger run would make you say that the model hears, before anybody
# makes it. How likely would that result be if it heard nothing?
# ```
#
# ```{solution} ex-19-2
# :label: sol-19-2
# :class: dropdown
#
# A good bet names a number, its interval and the control that must fail. If the result would come
# about in one of twenty deaf runs, then it is no more than the usual level of a test, and the bet
# should ask for it twice.
# ```

# %% tags=["remove-cell"]
glue("answer", answer, display=False)
glue("answer.left_out", study.left_out(rows), display=False)
