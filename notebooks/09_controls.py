# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Is it true? Controls beside every score
#
# A score by itself says nothing about hearing. A captioner can earn BLEU with words that are common
# in titles, with titles of a fitting length, or with one good guess that it gives to every song.
# A **control** takes one thing away, the sound, the picture, the right title, and scores what is
# left. Whatever is left was never due to that thing.

# %% tags=["parameters"]
preset = "quick"
seed = 0
device = "auto"
again = False  # train the replicates here, rather than show the published ones

# %% tags=["hide-input"]
import matplotlib.pyplot as plt
from myst_nb import glue

from songtitle import experiment, plots, presets, report, tables

plots.use_house_style()
config = presets.preset(preset, seed=seed, device=device)
record, ranks = experiment.controls(config), experiment.self_retrieval(config)
pairs = experiment.differences(config)
seeds = experiment.published(experiment.replicates, config, again=again)
tables.made_by([record, ranks, pairs, seeds], config)

# %% [markdown]
# ## What each control takes away
#
# | control | what is still there | what is gone |
# |---|---|---|
# | other items' titles | the captioner and its input | the right title: every answer is judged by all wrong titles |
# | other titles of the same length | the length of the right title too | everything else about it |
# | other items' inputs | real inputs, each once | that they belong to these titles |
# | noise in place of the input | mean and spread of each number | that anything was played or drawn |
# | zeros in place of the input | the decoder, told of an average input | every difference between inputs |
# | trained without pictures | a language model of captions | pictures, in training already |
# | one constant title | the best single guess, chosen on other titles | the captioner |
# | random words, lengths as said | word frequencies of the training captions, the captioner's lengths | order and choice of words |
# | random words, true lengths | the same, and the right length | the captioner |
#
# The figure shows the real input on top. A control whose mark reaches the dashed line of its colour
# does as well *without* what it lacks.

# %% mystnb={"figure": {"caption": "The real input against nine controls, for both readings of the songs and for whole pictures: BLEU-1 with 95 % intervals (for wrong titles, the range of 95 % of random pairings), at k = 1 and k = 5.", "name": "fig-controls"}, "image": {"alt": "Three panels of marks with interval bars, one row for the real input and one for each control, circles for k = 1 and squares for k = 5; a dashed line falls from each mark of the real input, so that controls which score as high as the real input lie on it or to its right."}} tags=["hide-input"]
found = report.frame(record, "rows")
names = list(dict.fromkeys(found["input"]))
figure, axes = plt.subplots(1, len(names), figsize=(11, 4.6), sharey=True)
for name, ax in zip(names, axes):
    plots.control_forest(found[found["input"] == name], ax).set_title(name)

# %% [markdown]
# The table has the numbers. In brackets stands how much *more* the real input scores than the
# control, and *p*: how often chance alone would part the two as far. Many controls are tried at
# once, so a single *p* a little below 0.05 is not much.

# %% tags=["hide-input"]
tables.Table(
    report.controls(record),
    name="tab-controls",
    caption="BLEU-1 in percent points of the real input and of each control, with 95 % intervals; "
    "below each control the lead of the real input over it, and p.",
    note="p: random signs of the items' differences, two-sided; for wrong titles random pairings, "
    f"one-sided. {report.definition_note('bleu1')}",
)

# %% tags=["hide-input"]
report.controls_note(record)

# %% [markdown]
# ## Without words: is the true title likelier than the others?
#
# BLEU depends on what search says, how long it is, and how it is cut into tokens. **Self-retrieval**
# does without: the decoder weighs *every* title of the test for *every* song, and we ask how high
# the true one ranks. MRR is the mean of 1 / rank, R@10 the share of songs whose true title is among
# the ten likeliest. Short, common titles are likely for every song; the second ranking takes that
# lead away, by Bayes' rule. Titles that differ only in words the captioner does not know are the
# same to it, and tie.

# %% tags=["hide-input"]
tables.Table(
    report.retrieval(ranks),
    name="tab-retrieval",
    caption="Rank of the true title by the decoder's likelihood: value with 95 % interval, and "
    "below it (chance, gain, p). Chance is exact.",
)

# %% [markdown]
# ## Would another training say the same?
#
# The intervals so far ask what *other songs* would have given the same captioner. Another source
# of luck is the training itself: its first weights, the order of its batches, its dropout. Here the
# whole training is repeated with other seeds on the same split. If the spread over seeds is as wide
# as a difference that is being argued about, one training cannot settle the argument.

# %% tags=["hide-input"]
tables.Table(
    report.replicates(seeds),
    name="tab-replicates",
    caption="BLEU-1 in percent points over whole trainings from several seeds; intervals are 95 %.",
    note=f"Over seeds: Student's t; over items: mean half width of the bootstrap intervals. "
    f"{report.definition_note('bleu1')} {tables.origin(seeds)}",
)

# %% tags=["hide-input"]
report.seeds_note(seeds)

# %% [markdown]
# ## Timbre or spectrogram?
#
# The paper hears one collection by its timbre and another by its spectrograms, so its two columns
# never meet. Here both readings are of the *same* songs, and every song is its own comparison:
# subtract the two scores of each, then average. That cancels what makes a title easy or hard, so
# the same difference needs far fewer titles than it does between two collections. (Readings that
# give nearly every song the same title part by so little that a tiny difference is found soon, and
# means as little.)

# %% tags=["hide-input"]
tables.Table(
    report.paired(pairs),
    name="tab-paired",
    caption="Timbre less spectrogram on the same songs, in percent points, with 95 % intervals.",
    note=report.definition_note("bleu1", "letters"),
)

# %% tags=["hide-input"]
tables.Table(
    report.power(pairs),
    name="tab-power",
    caption="Titles needed to tell the two readings apart in four of five trials, at 5 %; in "
    "brackets how often as many as here would do.",
    note="At the spread found here. The claimed difference is the paper's at k = 5, Million Song "
    "less Free Music Archive, which are different songs.",
)

# %% [markdown]
# ## Exercises
#
# 1. Permuting the inputs and permuting the titles give scores that differ only by luck. Why must
#    they, for a captioner that answers each song by itself? What would it mean if they did not?
# 2. Which controls would a captioner clear that has learnt nothing but to say long titles where
#    titles are long? Which would it not?
# 3. Run this page with `-p seed 1`. Which of the conclusions you drew from the table survive?

# %% tags=["remove-cell"]
for name, value in report.beaten(record).items():
    glue(f"controls.{name}", value, display=False)
