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
# A score by itself says nothing about hearing. A {term}`captioner` can earn {term}`BLEU` with
# words that are common in titles, with titles of a fitting length, or with one good guess that it
# gives to every song. A {term}`control` takes one thing away, the sound, the picture, the right
# title, and scores what is left. Whatever is left was never due to that thing.

# %% tags=["parameters"]
preset: str = "quick"  # settings: tiny, quick, rehearsal, course, best_guess, modern or paper_literal
seed: int = 0  # whole number that all random choices are made from
device: str = "auto"  # where to compute: auto, cpu, cuda or mps
settings: dict = {}  # any others by dotted name, such as {"spectrogram.hop_length": 128}
corpora: str = None  # book, samples, paper, rehearsal or a TOML file; None: the preset's own
again: bool = False  # True: train from several seeds here; False: show what was published

# %% tags=["hide-input"]
import matplotlib.pyplot as plt
import pandas as pd
from myst_nb import glue

from songtitle import cache, figures, fmt, tables
from songtitle import config as presets
from songtitle.experiment import controls, listening, naming
from songtitle.metrics.uncertainty import MOST
from songtitle.studies import controls as study
from songtitle.studies import in_short
from songtitle.studies import listening as study_listening

figures.use_house_style()
config = presets.preset(preset, settings, seed=seed, device=device, corpora=corpora)
record, ranks = controls.controls(config), controls.self_retrieval(config)
pairs, heard = controls.differences(config), listening.listening(config)
seeds = cache.published(controls.replicates, config, again=again)
tables.made_by([record, ranks, heard, pairs, seeds], config)

# %% tags=["hide-input"]
in_short.controls(record)

# %% [markdown]
# ## What each control takes away
#
# | control | what is still there | what is gone |
# |---|---|---|
# | other items' titles | the captioner and its input | the right title: every answer is judged by all titles of other series |
# | other titles of the same length | the length of the right title too | everything else about it |
# | other items' inputs | real inputs, each once | that they belong to these titles |
# | noise in place of the input | mean and spread of each number | that anything was played or drawn |
# | zeros in place of the input | the decoder, told of an average input | every difference between inputs |
# | trained without pictures | a language model of captions | pictures, in training already |
# | one constant title | the best single guess, of any length, chosen on other titles | the captioner |
# | random words, lengths as said | word frequencies of the training captions, the captioner's lengths | order and choice of words |
# | random words, true lengths | the same, and the right length | the captioner |
#
# The figure shows the real input on top. A control whose mark reaches the dashed line of its colour
# does as well *without* what it lacks.

# %% mystnb={"figure": {"caption": "The real input against nine controls, for both readings of the songs and for whole pictures: BLEU-1 with 95 % intervals (for wrong titles, the range of 95 % of random pairings), at k = 1 and k = 5.", "name": "fig-controls"}, "image": {"alt": "Three panels of marks with interval bars, one row for the real input and one for each control, circles for k = 1 and squares for k = 5, and a dashed line down from each mark of the real input."}} tags=["hide-input"]
found = pd.DataFrame(record.result["rows"])
names = list(dict.fromkeys(found["input"]))
figure, axes = plt.subplots(1, len(names), figsize=(11, 4.6), sharey=True)
for name, ax in zip(names, axes):
    study.control_forest(found[found["input"] == name], ax).set_title(fmt.called(name))

# %% [markdown]
# The table has the numbers. In brackets stands how much *more* the real input scores than the
# control, and {term}`p <p-value>`: how often chance alone would part the two as far. Many
# controls are tried at once, so a single *p* a little below 0.05 is not much.

# %% tags=["hide-input"]
tables.Table(
    study.controls(record),
    name="tab-controls",
    caption="BLEU-1 in percent points of the real input and of each control, with 95 % intervals; "
    "below each control the lead of the real input over it, and p.",
    note="p: random signs of the series' differences, two-sided; for other items' titles random "
    "deals to other series, one-sided. Random controls are drawn until the standard error of their "
    f"score is below {config.monte_carlo_error:g} points, or {MOST} times: draws and error stand "
    f"below them. {tables.definition_note(record)}",
)

# %% tags=["hide-input"]
study.controls_note(record)

# %% [markdown]
# ## Chance, by hand
#
# The first control of the table takes a few lines. Score *every* answer against *every* title: the
# diagonal of that matrix holds the right pairs, all the rest are wrong ones. Here it is for greedy
# search, once for each of the three inputs.

# %%
import numpy as np
import pandas as pd

from songtitle.experiment import corpora as material
from songtitle.experiment.naming import best_of
from songtitle.experiment.scoring import PERMUTATIONS
from songtitle.metrics.pairs import unigram_pair_scores

both = material.corpora(config), material.clips(config)
true, series = material.true_words(*both), material.true_series(*both)  # by reading, in one order
readings = {name: presets.Input.of(name).reading for name in names}
matrices = {}
for name, reading in readings.items():  # the three inputs of the figure
    answers = best_of(naming.hypotheses(config, name, 1))  # a list of words for each item
    matrices[name] = unigram_pair_scores(answers, true[reading])  # (answers, titles), in [0, 1]

# %% [markdown]
# {term}`Chance <chance>` needs no dice: it is the mean over all pairs of two *series* (of a folder of
# pictures, of a family of tunes), where own pairs weigh as they do among these. The {term}`permutation test` does need them: deal the titles of
# each series to another, score again, and count how often luck does at least as well as the truth.
# Where a large series gets the titles of a small one, some come twice; so a title counts by what it
# has over its mean, or one that fits everything would count as luck. The truth is one of the deals
# that might have come, so it counts as one, above and below the line.

# %%
from itertools import cycle

rounds = 1000
rng = np.random.default_rng(seed + 1)  # other deals than the record's

def deal(its):
    """Whose title each item gets: those of a whole series go to another, in random order."""
    members = {name: [] for name in its}
    for place, name in enumerate(its):
        members[name].append(place)
    givers = rng.permutation(list(members))
    got = {name: cycle(rng.permutation(members[giver])) for name, giver in zip(members, givers)}
    return [next(got[name]) for name in its]

def by_hand(matrix, its):
    """Score, exact chance, p, and the scores of `rounds` deals: all in [0, 1]."""
    n, names = len(matrix), np.array(its)
    score = matrix.diagonal().mean()
    apart = names[:, None] != names  # pairs of two series; in these an own pair weighs so much:
    weight = apart.sum(axis=1) / apart.sum()
    chance = matrix[apart].mean() + score - weight @ matrix.diagonal()
    over = matrix - matrix.mean(axis=0)  # over the mean of each title
    dealt = np.array([over[np.arange(n), deal(its)].mean() for _ in range(rounds)]) + matrix.mean()
    crumb = matrix[matrix > 0].min(initial=1) / (10 * n)  # titles dealt twice leave crumbs of means
    as_good = np.sum(dealt >= score - crumb)
    return score, chance, (1 + as_good) / (1 + rounds), dealt

results = {name: by_hand(matrix, series[readings[name]]) for name, matrix in matrices.items()}

# %% [markdown]
# The record behind the table says the same: score and chance to the last digits, *p* up to the luck
# of both draws (five standard errors of their difference).

# %%
greedy = found[found["beam_size"] == 1].set_index(["input", "control"])
for name, (score, chance, p_here, _) in results.items():
    wrong = greedy.loc[(name, "other items' titles")]
    assert abs(score - greedy.loc[(name, "real input"), "score"]) < 1e-9
    assert abs(chance - wrong["score"]) < 1e-9  # both: the first rows of the table of controls
    both = np.array([rounds, PERMUTATIONS])  # deals here, and behind the record
    share = np.average([p_here, wrong["p"]], weights=both)
    error = np.sqrt(share * (1 - share) * np.sum(1 / both))
    assert abs(p_here - wrong["p"]) <= 5 * error + 1 / PERMUTATIONS

# %% mystnb={"figure": {"caption": "What greedy search scores under titles dealt to other series (bars), with the true titles (line) and by chance (dashed), for each of the inputs.", "name": "fig-shuffles"}, "image": {"alt": "Three histograms of BLEU-1 in percent points over random pairings, one for each input, each with a line at the score of the true titles and a dashed line at chance."}} tags=["hide-input"]
figure, axes = plt.subplots(1, len(names), figsize=(11, 3.2))
for (name, (score, chance, p_here, shuffled)), ax in zip(results.items(), axes):
    rounded = (100 * shuffled).round(6)  # equal but for rounding: one bar
    counts, edges, _ = ax.hist(rounded, bins=20, color="0.75")
    ax.axvline(100 * score, color="C0", label="true titles")
    ax.axvline(100 * chance, color="C1", linestyle="--", label="chance")
    ax.set(title=fmt.called(name), xlabel="BLEU-1 (percent points)", ylabel="shuffles")
    figures.hand_on(
        ax,
        pd.DataFrame({"BLEU-1 (percent points), from": edges[:-1], "shuffles": counts}),
        f"true titles score {100 * score:.1f} points, chance {100 * chance:.1f}; "
        f"a shuffle does as well with p = {p_here:.4f}",
    )
axes[0].legend()
figure.tight_layout();

# %% [markdown]
# Where the line stands in the midst of the bars, the true titles are one more shuffle. Where it
# stands far to the right of them, something of the input reaches the answers.

# %% [markdown]
# ## Without words: is the true title likelier than the others?
#
# This is the **primary outcome** of the book; BLEU is the paper's. BLEU depends on what search says,
# how long it is, and how it is cut into {term}`tokens <token>`, and a captioner that says the same of
# all songs cannot gain by it. {term}`Self-retrieval <self-retrieval>` does without: the decoder weighs *every* title of the test
# for *every* song, and we ask how high
# the true one ranks. MRR is the mean of 1 / rank, R@10 the share of songs whose true title is among
# the ten likeliest. Short, common titles are likely for every song; the second ranking takes that
# lead away, by Bayes' rule. Titles that differ only in words the captioner does not know are the
# same to it, and tie.

# %% tags=["hide-input"]
cell = "{M_score:z.4f} [{M_low:z.4f}, {M_high:z.4f}]\n({M_chance:.4f}, {M_gain:signed.4x1}, p {M_p:p})"
columns = {"Input": "input", "Ranked by": "ranking"}
columns |= {"Titles (distinct)": "{items:,} ({distinct:,})", "MRR": cell.replace("M", "mrr")}
columns[f"R@{ranks.result['rows'][0]['k']}"] = cell.replace("M", "recall")
tables.Table(
    tables.tabulate(ranks.result["rows"], columns),
    name="tab-retrieval",
    caption="Rank of the true title by the decoder's likelihood: value with 95 % interval, and "
    "below it (chance, gain, p). Chance is exact.",
    note=study.picked_rank(ranks),
)

# %% [markdown]
# ## Is there anything to hear?
#
# A captioner that finds nothing may be deaf, or there may be nothing to find. A **listener** tells:
# a ridge regression (a straight-line fit that is charged, by a penalty, for the size of its weights)
# from the very same inputs, timbre or the frozen network's view of the spectrogram, to the words of
# titles. Unlike the captioner it is trained on
# titles, of other families of tunes than those it is asked about. It then scores each title of the
# part that was held out for each song of it, by the cosine between the words it expects and those of
# the title; the captioner ranks the same titles by likelihood, less what a title gets from all songs.
# *z* is how many standard deviations the own titles' mean score lies above random pairings, which
# keep families together. All three penalties that were tried are shown.

# %% mystnb={"figure": {"caption": "How surely the own title is matched to its song by a supervised listener and by the captioner, from the same inputs and among the same titles: z among random pairings. Chance is dashed; right of the dotted line p is below 0.05.", "name": "fig-listening"}, "image": {"alt": "One row for each input of the songs, with a mark for the listener at each of three penalties and one for the captioner, on an axis of z; a dashed line marks chance, a dotted one the five percent level."}} tags=["hide-input"]
study_listening.listening_marks(pd.DataFrame(heard.result["rows"]));

# %% tags=["hide-input"]
display(*study_listening.shown(heard, "listening"))

# %% [markdown]
# ## Would another training say the same?
#
# The intervals so far ask what *other songs* would have given the same captioner. Another source
# of luck is the training itself: its first weights, the order of its batches, its dropout. Here the
# whole training is repeated with other seeds on the same split. The interval of their mean holds
# both kinds of luck, and the variance is split into its parts: what trainings differ by, what
# series of items (a folder of stamps, a family of tunes) differ by, and what a training does to one series and not to
# another. Every page that quotes these cells has this number with this interval.

# %% tags=["hide-input"]
tables.Table(
    study.seeds_table(seeds),
    name="tab-replicates",
    caption="BLEU-1 in percent points over whole trainings from several seeds, with 95 % intervals "
    "over series of items and trainings alike.",
    note="Intervals: two-way, Student's t. No more than: the upper end of the 90 % interval, where "
    "that is less than the smallest gain that would matter (two one-sided tests, 5 %). "
    f"{tables.definition_note(seeds)} {tables.origin(seeds)}",
)

# %% tags=["hide-input"]
study.seeds_note(seeds)

# %% [markdown]
# ## Timbre or spectrogram?
#
# The paper hears one collection by its timbre and another by its spectrograms, so its two columns
# never meet. With the book's own songs both readings are of the *same* songs, and every song is its
# own comparison: subtract the two scores of each, then average. That cancels what makes a title easy
# or hard, so the same difference needs far fewer titles than it does between two collections.
# (Readings that give nearly every song the same title part by so little that a tiny difference is
# found soon, and means as little.)

# %% tags=["hide-input"]
display(*study.paired(pairs))

# %% [markdown]
# ## What it means
#
# If the real input leads every control, something of the input reaches the answer. If a control
# without it does as well, the score is due to what that control still has: a fitting length,
# common words, one good guess. How finely that can be told is written in the intervals, and in
# {numref}`tab-power`. The paper printed no control, so its readers cannot know which of these its
# scores were made of. {doc}`10_length` takes the most likely one apart. {doc}`13_samples` has the
# same controls on real photos and tracks, and {doc}`14_scoreboard` what became of each claim.

# %% [markdown]
# ## Exercises
#
# ```{exercise} Two ways to be wrong
# :label: ex-09-1
#
# Permuting the inputs and permuting the titles give scores that differ only by luck. Why must they,
# for a captioner that answers each song by itself? What would it mean if they did not?
# ```
#
# ```{solution} ex-09-1
# :label: sol-09-1
# :class: dropdown
#
# Such a captioner's answer depends on its own input alone, so permuting inputs permutes the same
# answers, and either way each answer meets the title of another song. If the scores differed, answers
# would depend on what else is in the batch. {doc}`17_labs` breaks a captioner in just that way.
# ```
#
# ```{exercise} Every pairing of three
# :label: ex-09-2
#
# Three answers score `pairs = [[0.5, 0, 0], [0, 0.5, 0.5], [0, 0, 1]]` against three titles, row by
# answer, column by title. Compute `p`, the share of all pairings of answers with titles (the true one
# among them) whose total is at least the true one's. Can three songs ever reach `p < 0.05`?
# ```
#
# ```{solution-start} ex-09-2
# :label: sol-09-2
# :class: dropdown
# ```
#
# The true pairing is the best of all six, and still $p = 1/6$: with three songs nothing can be shown.

# %% tags=["solution"]
from itertools import permutations

pairs = [[0.5, 0, 0], [0, 0.5, 0.5], [0, 0, 1]]
totals = [sum(pairs[i][j] for i, j in enumerate(order)) for order in permutations(range(3))]
own = sum(pairs[i][i] for i in range(3))
p = sum(total >= own for total in totals) / len(totals)

# %% [markdown]
# ```{solution-end}
# ```

# %% tags=["check", "remove-cell"]
assert 0 < p <= 1

# %% tags=["hidden-check", "remove-cell"]
assert abs(p - 1 / 6) < 1e-9

# %% [markdown]
# ```{exercise} Long where long is right
# :label: ex-09-3
#
# A captioner has learnt nothing but to say long titles where titles are long. Which controls would it
# clear? Which not?
# ```
#
# ```{solution} ex-09-3
# :label: sol-09-3
# :class: dropdown
#
# It clears those that take the length away along with the rest: other items' titles, other items'
# inputs, noise, zeros, the constant title. It does not clear other titles *of the same length*, nor
# random words of the true lengths: there its one skill is given to the control as well.
# ```

# %% tags=["remove-cell"]
for row in study.beaten(record):
    key = f"controls.{tables.short_name(row['name'])}.{row['k']}"
    [glue(f"{key}.{name}", row[name], display=False) for name in study.FIELDS]
