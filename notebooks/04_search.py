# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Search: what do beams and tiles do to the score?
#
# A {term}`decoder` gives probabilities; **search** turns them into words.
# {term}`Greedy search <greedy search>` takes the likeliest word at every step.
# {term}`Beam search <beam search>` keeps the *k* likeliest beginnings. The paper reports that
# every score peaks at *k* = 5 and then falls. This page redoes that table and puts beside every
# cell what **chance** scores: the same outputs against the wrong {term}`references <reference>`.
# First comes search itself, written out on one song and held against the library's.

# %% tags=["parameters"]
preset: str = "quick"  # settings: tiny, quick, rehearsal, course, best_guess, modern or paper_literal
seed: int = 0  # whole number that all random choices are made from
device: str = "auto"  # where to compute: auto, cpu, cuda or mps
settings: dict = {}  # any others by dotted name, such as {"spectrogram.hop_length": 128}
corpora: str = None  # book, samples, paper, rehearsal or a TOML file; None: the preset's own
beam_sizes: list[int] = None  # hypotheses kept, such as [1, 3]; None: the preset's own
tile_sizes: list[int] = None  # sides in pixels, such as [64, 256]; None: the preset's own

# %% tags=["hide-input"]
import pandas as pd
from myst_nb import glue

from songtitle import config as presets
from songtitle import cache, figures, tables
from songtitle.experiment import baselines, controls, inputs, learning, scoring
from songtitle.paper import printed
from songtitle.studies import gallery
from songtitle.studies import in_short
from songtitle.studies import search as study

figures.use_house_style()
changes = {"beam_sizes": beam_sizes, "tile_sizes": tile_sizes}
config = presets.preset(preset, settings, seed=seed, device=device, corpora=corpora, **changes)
record, pairs = scoring.scores(config), controls.differences(config)
others = baselines.baselines(config)
scores = scoring.score_table(config)
seeds = cache.published(controls.replicates, presets.preset(preset, settings, seed=seed, device=device, corpora=corpora))
several = study.over_trainings(scores, seeds)
tables.made_by([record, pairs, seeds, others], config)

# %% tags=["hide-input"]
in_short.search(several.to_dict("records"))

# %% [markdown]
# ## Greedy search, word by word
#
# Before the tables, search itself on one song. The captioner is the trained one of
# {doc}`03_training`; the song is the first of the test, by its {term}`spectrogram`. All that the
# decoder gets of the song is `memory`, what its {term}`encoder` made of it. What has been said so
# far it keeps in a `state`.

# %%
import torch

from songtitle import config as presets
from songtitle.experiment.naming import listener
from songtitle.search.beam import beam_search, greedy_search
from songtitle.vocabulary import SPECIALS

trained, heard = learning.training(config), inputs.song_features(config)
hearing = listener(config, "songs: spectrogram", trained, heard)
model, vocabulary, device = hearing.model, hearing.vocabulary, hearing.device
memory = hearing.memory(hearing.features[:1])  # (1 song, positions, dim)

bos, eos = vocabulary.bos_id, vocabulary.eos_id  # a title begins after one, ends with the other
silent = [vocabulary.pad_id, bos, vocabulary.unk_id]  # known to the decoder, never said

# %% [markdown]
# One step takes the last word and the state. It gives the {term}`log-probability` of every word that
# the decoder knows, in nats, and the state after it. Words travel as numbers, their ids: `<bos>`,
# `<eos>` and their like have the first few, the words of the {term}`vocabulary` the rest.

# %%
names = [*SPECIALS, *vocabulary.words]  # names[i] is what id i stands for

@torch.inference_mode()
def step(last, state):
    """Log-probabilities (vocab,) of the token after `last`, in nats, and the new state."""
    log_probs, state = model.search_step(torch.tensor([last], device=device), state)  # (1, vocab)
    log_probs[0, silent] = -torch.inf
    return log_probs[0], state

# %% [markdown]
# Greedy search is a short loop: step, take the likeliest token, stop at the end of the title, and
# otherwise go on from that token.

# %%
title, last, state = [], bos, model.decoder.start(memory)
for _ in range(config.search.max_steps):
    log_probs, state = step(last, state)
    last = int(log_probs.argmax())
    if last == eos:
        break
    title.append(names[last])

# %% [markdown]
# The library does this for hundreds of songs at once. On this song it has to say the same words.

# %%
said = greedy_search(
    model.search_step, model.decoder.start(memory),
    bos_id=bos, eos_id=eos, max_steps=config.search.max_steps, never=silent,
)
assert vocabulary.decode(said.tokens[0, 0]) == title  # the loop above is the library's greedy search

# %% [markdown]
# ## Beam search, three steps
#
# A {term}`beam` keeps *k* beginnings in place of one. Every step extends each of them by its *k*
# likeliest tokens; more children of one parent than *k* could not be among the best *k*. It adds
# up log-probabilities and keeps the *k* highest sums. A finished title stays as it is.

# %%
k = 3

def total(beginning):
    """The log-probability of a beginning: the sum over its tokens, in nats."""
    return sum(beginning["log_probs"])

def children(beginning):
    """The k likeliest continuations of a beginning by one token; of a finished title itself."""
    if beginning["last"] == eos:
        return [beginning]
    log_probs, state = step(beginning["last"], beginning["state"])
    gains, ids = log_probs.topk(k)  # (k,) each, the likeliest first
    return [
        {
            "tokens": [*beginning["tokens"], names[i]],
            "log_probs": [*beginning["log_probs"], gain],
            "last": i,
            "state": state,
        }
        for gain, i in zip(gains.tolist(), ids.tolist())
    ]

# %% [markdown]
# Likelier beginnings may push a finished title out of the beam, and still fall behind it: every
# further word lowers their sums. So it is set aside, and ranked with the others at the end.

# %%
beam = [{"tokens": [], "log_probs": [], "last": bos, "state": model.decoder.start(memory)}]
aside, held = [], []
for number in (1, 2, 3):
    candidates = [child for beginning in beam for child in children(beginning)]
    kept = sorted(candidates, key=total, reverse=True)[:k]
    aside += [old for old in beam if old["last"] == eos and old not in kept]
    beam = kept
    held += [[number, " ".join(each["tokens"]), f"{total(each):.2f}"] for each in beam]
beam = sorted(beam + aside, key=total, reverse=True)[:k]

# %% tags=["hide-input"]
tables.Table(
    pd.DataFrame(held, columns=["Step", "Beginning", "Log-probability"]),
    name="tab-three-steps",
    caption="What a beam of k = 3 holds after each of its first three steps, the likeliest first; "
    "log-probabilities in nats.",
)

# %% mystnb={"figure": {"caption": "The same song: what is left after three steps, the likeliest on top. Below each token, the log-probability (nats) of the title so far.", "name": "fig-three-steps"}, "image": {"alt": "A small tree of words from left to right, the three beginnings that the beam is left with after three steps; the likeliest is the top line, shaded."}} tags=["hide-input"]
gallery.beam_tree(beam);

# %% [markdown]
# Stopped after three tokens, the library's beam search must hold the same beginnings, at the same
# sums. ({doc}`15_gallery` has whole trees, and wider ones.)

# %%
said = beam_search(
    model.search_step, model.decoder.start(memory),
    bos_id=bos, eos_id=eos, config=presets.SearchConfig(beam_size=k, max_steps=3), never=silent,
)
for beginning, ids, log_prob in zip(beam, said.tokens[0], said.log_probs[0]):
    assert vocabulary.decode(ids) == [token for token in beginning["tokens"] if token != "<eos>"]
    assert abs(float(log_prob) - total(beginning)) < 1e-3  # nats; the library's beam search

# %% [markdown]
# ## The score by beam size
#
# Each line is one way to feed the network: pictures, cut into tiles of several sizes, and songs, by
# timbre and by spectrogram. A dashed line of the same colour is what the same outputs score beside
# the wrong references.

# %% mystnb={"figure": {"caption": "Figure 8a of the paper, redone, for one training: BLEU-1 by beam size, with 95 % intervals; chance dashed in the same colour.", "name": "fig-8a"}, "image": {"alt": "BLEU-1 in percent points against beam size, one line with interval bars for each of the inputs of Table 4, and a dashed line of chance in the same colour for each."}} tags=["hide-input"]
study.bleu_by_beam(scores);

# %% [markdown]
# ## Table 4, with chance
#
# Each cell of this run has three lines, in percent points:
#
# ```text
# score × n letters      mean sentence BLEU-1; where n whole trainings were made, the mean of all
# [low, high]            its 95 % interval: what other series might have given, and of means what
#                        other trainings might have given, too
# (chance, gain, p)      what wrong pairs score, score less chance, and how often luck gains as much
# ```
#
# {term}`Chance <chance>` is exact: the mean over all pairings of the same outputs with references
# of another *series*. {term}`p <p-value>` is the share of random deals that score at least as
# high; of means, Student's *t* has it. Where the {term}`gain` is nothing to speak of, this run
# gives no sign that the model heard or saw anything, however high the score. {term}`BLEU` and
# {term}`bootstrap` are in the glossary.
#
# **Letters** say what the items cannot tell apart. Within a column, the two readings of the same
# songs are compared with each other, and so are the tilings of the same pictures; two that share a
# letter may differ by luck alone (random signs of the series' differences, 5 %, corrected for the
# number of pairs). Letters are never shared between songs and pictures, whose titles and captions
# are different tests.
#
# The line below is the paper's cell, which came without any of this.

# %% tags=["hide-input"]
tables.Table(
    study.table_4(several, pairs),
    name="tab-4",
    caption="Table 4. BLEU-1 in percent points by input and beam size (k = 1 is greedy search): "
    "score and letters, [interval], (chance, gain, p).",
    note=f"{study.interval_legend(several)} Letters: of one training. {study.picked_cell(several)} "
    f"{study.signature(record)}",
)

# %% [markdown]
# ## The ceiling, and what needs no captioner
#
# A gain near 0 can mean two things: the outputs differ and are dealt to the wrong items, or they
# hardly differ at all, so that no dealing could gain. The **ceiling** tells which. It deals out the
# very same outputs anew, in the best way there is (each to one item, found exactly, as an assignment
# problem): what that scores above chance is the most that any listener could have gained with them.
# Where it is nothing, the gain is a measure of collapse and not of hearing.
#
# The second table asks what no captioner is needed for: the caption of the most similar training
# picture, the title of the most similar other song, and one text for all, of any length, chosen on
# other items than those it is judged on. (A neighbour among songs has seen titles, which the
# captioner has not: it is supervised.)

# %% tags=["hide-input"]
display(*study.without_captioner(scores, others))

# %% [markdown]
# ## Series, not items
#
# Pictures of one folder, or tunes of one family, are no independent witnesses: where a captioner
# has learnt the wording of a series, it is right about all of it at once. So intervals above draw
# whole series anew, chance pairs items of two series, and a shuffle deals the titles of a series to
# another one. What an analysis that takes every picture for itself would have said:

# %% tags=["hide-input"]
tables.Table(
    study.by_items(scores),
    name="tab-by-items",
    caption="Gain over chance of the pictures in percent points, with 95 % interval and p: by series, "
    "as in the table above, and as if every picture were a series of its own.",
)

# %% [markdown]
# ## What a beam costs
#
# Time is of search alone, per picture, tile or song, with features at hand: the picture network
# costs the same whatever the beam. Greedy search is a path of its own, not beam search with one
# beam.

# %% mystnb={"figure": {"caption": "Figure 8b of the paper, redone: time of search per example by beam size.", "name": "fig-8b"}, "image": {"alt": "Milliseconds of search per example against beam size, one line for each of the inputs of Table 4."}} tags=["hide-input"]
study.seconds_by_beam(scores);

# %% mystnb={"figure": {"caption": "Figure 8c of the paper, redone: BLEU-1 per second of search, on a logarithmic scale.", "name": "fig-8c"}, "image": {"alt": "BLEU-1 per second of search on a logarithmic scale against beam size, one line for each of the inputs of Table 4."}} tags=["hide-input"]
study.bleu_per_second(scores);

# %% [markdown]
# ## Longer beams, shorter outputs
#
# Beam search ranks by summed {term}`log-probability`, and every further word lowers the sum: wide
# beams prefer short outputs. Length alone moves BLEU; {doc}`10_length` takes the two apart.

# %% tags=["hide-input"]
tables.Table(
    tables.by_beam(scores, "input", "mean_length").rename(columns={"input": "Input"}),
    name="tab-lengths",
    caption="Mean length of the best hypothesis, in words.",
)

# %% [markdown]
# ## What it means
#
# Read the gain, not the score. A score may rise and fall with the beam while its gain stays at
# nothing: then search has changed what is *said*, not what is *heard*. The rows of pictures show
# how it looks when an input is used; hold the rows of songs against them. A low score with a
# clear gain would be a better sign of hearing than a high score without one. Why scores move with
# the beam at all is taken apart in {doc}`10_length`. What scores when nobody listens is measured
# in {doc}`09_controls`. The titles behind the numbers are on the next page, {doc}`05_titles`.

# %% [markdown]
# ## Exercises
#
# ```{exercise} Where greedy search goes wrong
# :label: ex-04-1
#
# The first word is `a` (probability `0.6`) or `the` (`0.4`). After `a` comes `cat` (`0.4`), `dog`
# (`0.35`) or `hat` (`0.25`); after `the` comes `moon` (`0.9`) or `sun` (`0.1`). Let code find
# `greedy_title`, the two words of greedy search, and `best_title`, the two words that are likeliest
# together, each as a list.
# ```
#
# ```{solution-start} ex-04-1
# :label: sol-04-1
# :class: dropdown
# ```
#
# Greedy search takes `a`, the likelier first word, and ends at $0.6 \cdot 0.4 = 0.24$. The best title
# begins with the other word: $0.4 \cdot 0.9 = 0.36$. A beam of two keeps both beginnings and finds it.

# %% tags=["solution"]
first = {"a": 0.6, "the": 0.4}
second = {"a": {"cat": 0.4, "dog": 0.35, "hat": 0.25},
          "the": {"moon": 0.9, "sun": 0.1}}
start = max(first, key=first.get)
greedy_title = [start, max(second[start], key=second[start].get)]
joint = {(one, two): p * q for one, p in first.items() for two, q in second[one].items()}
best_title = list(max(joint, key=joint.get))

# %% [markdown]
# ```{solution-end}
# ```

# %% tags=["check", "remove-cell"]
assert len(greedy_title) == len(best_title) == 2

# %% tags=["hidden-check", "remove-cell"]
assert list(greedy_title) == ["a", "cat"]

# %% tags=["hidden-check", "remove-cell"]
assert list(best_title) == ["the", "moon"]

# %% [markdown]
# ```{exercise} Small tiles, high scores
# :label: ex-04-2
#
# In the paper the 32-pixel tiles score higher than the whole crop. What would you expect of a
# captioner that depends on what it sees? Which column of {numref}`tab-4` should you read to find out?
# ```
#
# ```{solution} ex-04-2
# :label: sol-04-2
# :class: dropdown
#
# It should do worse on tiles: each shows a small part of what the caption is about. Read the *gain*,
# not the score. A score may stay high on tiles for reasons that have nothing to do with seeing, such
# as the length of the answers; the gain over chance cannot.
# ```
#
# ```{exercise} What did the beam cost?
# :label: ex-04-3
#
# The paper reports that BLEU per second for Million Song falls $r$-fold from *k* = 1 to 5, while BLEU
# rises $g$-fold; `claims.paper("search.msd_rate_drop")` and `claims.paper("search.msd_gain")` have the
# two numbers. By which factor did time grow? Can beam search alone account for it, if its cost is in
# proportion to *k* times the number of steps?
# ```
#
# ```{solution} ex-04-3
# :label: sol-04-3
# :class: dropdown
#
# The rate is $b/t$. From $b_5/t_5 = (b_1/t_1)/r$ and $b_5 = g\,b_1$ follows $t_5/t_1 = r\,g$. With
# $r$ = {glue:text}`paper.search.msd_rate_drop:.1f` and $g$ = {glue:text}`paper.search.msd_gain:.1f`
# that is nearly nine. Five hypotheses cost five times as much, less if wider beams stop sooner. So
# search alone does not account for it: something else was timed, or the code was not batched.
# ```

# %% tags=["remove-cell"]
for name, value in study.headline(several).items():
    glue(name, value, display=False)
for name in ("headline.out_domain", "headline.in_domain", "search.msd_rate_drop", "search.msd_gain"):
    glue(f"paper.{name}", printed.paper(name), display=False)
