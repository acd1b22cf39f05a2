# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Titles: what does it call a song?
#
# Scores are averages; titles are what a listener would get. This page shows what the captioner
# calls songs, from {term}`timbre` and from {term}`spectrograms <spectrogram>`, beside the true
# titles, and counts how many *different* titles it gives at all. A model that hears would answer
# different songs differently. To listen to songs and guess along, go to {doc}`15_gallery`.

# %% tags=["parameters"]
preset: str = "quick"  # settings: tiny, quick, rehearsal, course, best_guess, modern or paper_literal
seed: int = 0  # whole number that all random choices are made from
device: str = "auto"  # where to compute: auto, cpu, cuda or mps
settings: dict = {}  # any others by dotted name, such as {"spectrogram.hop_length": 128}
corpora: str = None  # book, samples, paper, rehearsal or a TOML file; None: the preset's own
beam_size: int = 5  # hypotheses that search keeps for each song

# %% tags=["hide-input"]
import json
from collections import Counter
from dataclasses import replace

import numpy as np
import pandas as pd
from myst_nb import glue

from songtitle import config as presets
from songtitle import cache, figures, fmt, tables
from songtitle.experiment import controls, naming, paper_corpora, scoring
from songtitle.experiment.corpora import clips, song_rows
from songtitle.paper import printed
from songtitle.studies import in_short
from songtitle.studies import search as study

figures.use_house_style()
config = presets.preset(preset, settings, seed=seed, device=device, corpora=corpora)
seeds = cache.published(controls.replicates, config)
config = replace(config, beam_sizes=(1, beam_size))
record = scoring.scores(config)
scores = scoring.score_table(config)
several = study.over_trainings(scores, seeds)
titles = {name: study.titles_said(config, name, beam_size) for name in map(str, presets.SONGS)}
tables.made_by([record, seeds], config)

# %% tags=["hide-input"]
in_short.titles(titles)

# %% tags=["hide-input"]
songs = {name: song_rows(clips(config), name) for name in titles}
tables.Table(
    study.songs_and_titles(songs, titles, seed=config.seed, count=12),
    name="tab-songs",
    caption=f"Twelve test songs, and what they are called at k = {beam_size}.",
    note="In brackets: log-probability in nats. The chance title is another song's, at random.",
)

# %% [markdown]
# ## One song, five hypotheses
#
# {term}`Beam search <beam search>` returns a list, best first. Here are the five best titles of the
# first song by either reading.

# %% tags=["hide-input"]
columns = {
    f"From {tables.short_name(name)}": pd.Series([said for _, said in found[0]], dtype=object)
    for name, found in titles.items()
}
five = pd.DataFrame(columns)
five.insert(0, "Rank", range(1, len(five) + 1))
tables.Table(
    five,
    name="tab-five",
    caption="The five best titles of one song by either reading.",
)

# %% [markdown]
# ## How many different titles?

# %% tags=["hide-input"]
rows = []
for name, found in titles.items():
    best = pd.Series([item[0][0] for item in found])
    (often, count), *_ = Counter(best).most_common(1)
    rows.append([name, len(best), best.nunique(), often, fmt.percent(count / len(best))])
columns = ["Input", "Songs", "Different titles", "Most frequent", "Its share"]
tables.Table(
    pd.DataFrame(rows, columns=columns),
    name="tab-variety",
    caption="Distinct best titles over all test songs, and the most frequent one.",
)

# %% [markdown]
# ## BLEU-1, counted by hand
#
# The scores below are {term}`BLEU`-1, and a pencil is enough to find one. Take what the captioner
# says from spectrograms, and of all songs the first whose answer has most words of its true title.

# %%
import math

from songtitle.experiment.corpora import song_titles
from songtitle.experiment.naming import best_of
from songtitle.metrics import bleu
from songtitle.metrics.pairs import unigram_pair_scores

reading = "songs: spectrogram"
said = best_of(naming.hypotheses(config, reading, beam_size))  # a list of words for each song
true = song_titles(clips(config), reading)  # likewise, in the same order

in_common = [sum((Counter(a) & Counter(b)).values()) for a, b in zip(said, true)]  # words
song = int(np.argmax(in_common))

# %% [markdown]
# Every word that was said counts as often as the title has it too, and no more: who says *the the
# the* to a title with one *the* gets one. That is *clipping*, and `&` between two counters does it.

# %%
in_answer, in_title = Counter(said[song]), Counter(true[song])
clipped = in_answer & in_title  # word -> the smaller of both counts

# %% tags=["hide-input"]
tables.Table(
    pd.DataFrame(
        [[word, in_answer[word], in_title[word], clipped[word]] for word in in_answer | in_title],
        columns=["Word", "In the answer", "In the title", "Counts"],
    ),
    name="tab-clipped",
    caption=f"“{tables.plain(' '.join(said[song]), 'nothing')}” against "
    f"“{tables.plain(' '.join(true[song]))}”, word by word.",
)

# %% [markdown]
# {term}`Precision <precision>` is the share of the words said that count. Alone it would favour
# saying one safe word, so an answer shorter than the title pays the {term}`brevity penalty`,
# $e^{1 - r/c}$ where $c$ words are said and $r$ are wanted. BLEU-1 is the product of the two.

# %%
def bleu_1(answer, title):
    """BLEU-1 in [0, 1] of one answer; an answer of no words has no precision, and scores 0."""
    words = max(1, len(answer))
    precision = sum((Counter(answer) & Counter(title)).values()) / words
    penalty = min(1, math.exp(1 - len(title) / words))
    return precision * penalty

by_hand = bleu_1(said[song], true[song])
by_library = bleu.sentence_bleu(said[song], [true[song]], max_order=1)
assert abs(by_hand - by_library.score) < 1e-9  # one song: metrics.sentence_bleu

# %% [markdown]
# Here precision is {glue:text}`hand.precision:.2f` and the brevity penalty
# {glue:text}`hand.penalty:.2f`: the answer that has most words of its title, picked from all
# {glue:text}`hand.songs:,.0f` songs, scores {glue:text}`hand.score:.2f`. The score of the whole test
# is no more than the mean over its songs.

# %%
each = np.array([bleu_1(answer, title) for answer, title in zip(said, true)])  # (songs,)
recorded = scores[(scores["input"] == reading) & (scores["beam_size"] == beam_size)].iloc[0]
assert abs(each.mean() - recorded["score"]) < 1e-9  # all songs: the record behind Table 5

# %% [markdown]
# That is {glue:text}`hand.mean:.1f` percent points. A mean does not say how many songs it comes from:
# of {glue:text}`hand.songs:,.0f` songs, {glue:text}`hand.none:,.0f` got an answer without a single word
# of their title, and score nothing at all.

# %% [markdown]
# ## Table 5, in its context
#
# The paper sets its scores beside those of AudioCaps {cite:p}`kim2019`, captions of everyday
# sounds, in a column headed "k = 1". Its own text says where they come from: "captioning methods
# on the AudioCaps dataset that use 1-nearest search with audio features". That is no
# {term}`greedy search`. A {term}`nearest-neighbour <nearest neighbour>` {term}`baseline` writes
# nothing: it looks for the training sound that is most like the new one and repeats its caption.
# And every test clip of AudioCaps has several captions to match, a song has one title. So the
# table cannot rank anything; what it can do is stand beside what AudioCaps' captions score when
# *nobody hears anything*.

# %% tags=["hide-input"]
answers = paper_corpora.answers("audio_references")
tables.Table(
    study.table_5(several, answers),
    name="tab-5",
    caption="Table 5. BLEU-1 in percent points from timbre (MFCC) and spectrograms.",
    note=f"{study.interval_legend(several)} {study.signature(record)} No cell of one column is to "
    "be ranked against another's.",
)

# %% mystnb={"figure": {"caption": "BLEU-1 of captions of sounds by number of references, no model involved; dotted, what the paper quotes for AudioCaps.", "name": "fig-references"}, "image": {"alt": "BLEU-1 in percent points against the number of references of each clip, with lines for another human caption, for one answer given to every clip and for a random caption, and two dotted levels of numbers that the paper quotes."}} tags=["hide-input"]
quoted = {f"AudioCaps, {row.features}": row.audiocaps_1 for row in printed.paper_table(5).itertuples()}
study.bleu_by_references(study.reference_curves(answers), quoted=quoted);

# %% tags=["hide-input"]
study.references_note(answers)

# %% [markdown]
# With more references there is more to match, and every line rises, that of a caption drawn at
# random too. BLEU-1 does not read: the one answer for every clip is a handful of frequent words
# in no order, chosen on other clips. A retrieval baseline has to be read against the random
# caption, which is what it would do if it were deaf. The baselines themselves cannot be computed
# again here, since the sounds are not at hand; nor does the paper say whether a sentence or a
# corpus was scored, so the counts hold both.

# %% tags=["hide-input"]
tables.Table(
    study.by_references(answers),
    name="tab-references",
    caption="BLEU-1 in percent points of AudioCaps' test captions by number of references.",
    note="Mean of clips with its 95 % bootstrap interval; below it, the corpus as a whole. "
    + tables.origin(answers["audio_references"]),
)

# %% [markdown]
# ## What it means
#
# Among twelve titles one will seem to fit: readers are good at finding sense. The count of
# different titles in {numref}`tab-variety` is harder to fool. A model that gives most songs one
# and the same title has learnt what its captions are like, not what songs are like. And
# {numref}`tab-5` sets side by side what comes from other data, other questions and other numbers
# of references; it ranks nothing. Do songs at least *look* like pictures to the decoder? That is
# the question of {doc}`06_similarity`. Would a model that hears nothing score the same? That is
# {doc}`09_controls`.

# %% [markdown]
# ## Exercises
#
# ```{exercise} One answer for all
# :label: ex-05-1
#
# In the record `experiment.hypotheses(config, "songs: timbre", beam_size)` the file
# `hypotheses.json` holds, for every song, its tiles (one), of each the best hypotheses, of each
# `[words, log-probability]`. In the record `experiment.clips(config)` the file `songs.json` holds the
# true titles (`tokens` of each). Find `common`, the most frequent best title as a list of words, and
# `constant`: the mean BLEU-1 of answering `common` to *every* song. Compare it with {numref}`tab-5`.
# ```
#
# ```{solution-start} ex-05-1
# :label: sol-05-1
# :class: dropdown
# ```
#
# Where the constant answer comes near the captioner's score, that score needs no sound.

# %% tags=["solution"]
import json
from collections import Counter
from songtitle.metrics import bleu
named = naming.hypotheses(config, "songs: timbre", beam_size)
said = json.loads(named.file("hypotheses.json").read_text("utf-8"))
common = list(Counter(tuple(item[0][0][0]) for item in said).most_common(1)[0][0])
titles = [[song["tokens"]] for song in songs["songs: timbre"]]
bleu1 = bleu.DEFINITIONS["bleu1"]
constant = bleu.score([common] * len(titles), titles, bleu1).score

# %% [markdown]
# ```{solution-end}
# ```

# %% tags=["check", "remove-cell"]
assert 0 <= constant <= 1
assert isinstance(common, list)

# %% tags=["hidden-check", "remove-cell"]
from songtitle.metrics.pairs import unigram_pair_scores

pairs = unigram_pair_scores([common], [song["tokens"] for song in songs["songs: timbre"]])
assert abs(constant - pairs.mean()) < 1e-9

# %% [markdown]
# ```{exercise} Backwards
# :label: ex-05-2
#
# Play a song backwards. Can its title by timbre change? Can its title by spectrogram?
# ```
#
# ```{solution} ex-05-2
# :label: sol-05-2
# :class: dropdown
#
# By timbre hardly: means and covariances of frames do not ask in which order the frames come, and the
# frames of the reversed clip are the same but for where they are cut. By spectrogram it can: the
# picture is mirrored, and the square that is cropped out of it holds another part of the song.
# ```
#
# ```{exercise} Can anybody?
# :label: ex-05-3
#
# Titles are often given before the music is written (the paper says so in its conclusion). Which
# experiment could tell whether *any* listener or system can predict a title from sound better than
# chance?
# ```
#
# ```{solution} ex-05-3
# :label: sol-05-3
# :class: dropdown
#
# Forced choice: play a song that nobody in the test knows, without words, and show its title among
# wrong ones of the same length and the same collection. Chance is then exact. If people do no better,
# there is nothing in the sound that a system could be blamed for missing; if they do, their gain is
# what a system has to reach. The wrong titles matter most: a lament among reels is an easy guess.
# ```

# %% tags=["remove-cell"]
values = {"precision": by_library.precisions[0], "penalty": by_library.brevity_penalty, "score": by_hand}
values |= {"mean": 100 * each.mean(), "songs": len(each), "none": in_common.count(0)}
for name, value in values.items():
    glue(f"hand.{name}", float(value), display=False)
