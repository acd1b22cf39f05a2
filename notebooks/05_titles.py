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
# calls songs, from timbre and from spectrograms, beside the true titles, and counts how many
# *different* titles it gives at all. A model that hears would answer different songs differently.

# %% tags=["parameters"]
preset = "quick"
seed = 0
device = "auto"
beam_size = 5

# %% tags=["hide-input"]
from myst_nb import glue

from songtitle import claims, experiment, plots, presets, report, tables

plots.use_house_style()
beams = presets.sizes("beam_size", beam_size)
config = presets.preset(preset, seed=seed, device=device, beam_sizes=[1, *beams])
record = experiment.scores(config)
scores = experiment.score_table(config)
tables.made_by([record], config)

# %% tags=["hide-input"]
tables.Table(
    report.named_songs(config, beams[0], count=12),
    name="tab-songs",
    caption=f"Twelve test songs, and what they are called at k = {beams[0]}.",
    note="In brackets: log-probability in nats. The chance title is another song's, at random.",
)

# %% [markdown]
# ## One song, five hypotheses
#
# Beam search returns a list. Here are the five best titles of the first song by either reading.

# %% tags=["hide-input"]
tables.Table(
    report.five_best(config, beams[0], song=0),
    name="tab-five",
    caption="The five best titles of one song by either reading.",
)

# %% [markdown]
# ## How many different titles?

# %% tags=["hide-input"]
tables.Table(
    report.variety(config, beams[0]),
    name="tab-variety",
    caption="Distinct best titles over all test songs, and the most frequent one.",
)

# %% [markdown]
# ## Table 5, in its context
#
# The paper sets its scores beside those of AudioCaps {cite:p}`kim2019`, captions of everyday
# sounds, in a column headed "k = 1". Its own text says where they come from: "captioning methods on
# the AudioCaps dataset that use 1-nearest search with audio features". That is no greedy search.
# A **nearest-neighbour baseline** writes nothing: it looks for the training sound that is most like
# the new one and repeats its caption. And every test clip of AudioCaps has several captions to
# match, a song has one title. So the table cannot rank anything; what it can do is stand beside
# what AudioCaps' captions score when *nobody hears anything*.

# %% tags=["hide-input"]
answers = experiment.census("audio_references")
tables.Table(
    report.table_5(scores, answers),
    name="tab-5",
    caption="Table 5. BLEU-1 in percent points from timbre (MFCC) and spectrograms.",
    note=report.signature(scores) + " No cell of one column is to be ranked against another's.",
)

# %% mystnb={"figure": {"caption": "BLEU-1 of captions of sounds by number of references, no model involved; dotted, what the paper quotes for AudioCaps.", "name": "fig-references"}, "image": {"alt": "BLEU-1 in percent points against the number of references of each clip, from one to five: rising lines for another human caption, for one answer given to every clip and for a random caption, and two dotted levels of numbers that the paper quotes."}} tags=["hide-input"]
quoted = {f"AudioCaps, {row.features}": row.audiocaps_1 for row in claims.paper_table(5).itertuples()}
plots.bleu_by_references(report.reference_curves(answers), quoted=quoted);

# %% tags=["hide-input"]
report.references_note(answers)

# %% [markdown]
# With more references there is more to match, and every line rises, that of a caption drawn at
# random too. BLEU-1 does not read: the one answer for every clip is a handful of frequent words in
# no order, chosen on other clips. A retrieval baseline has to be read against the random caption,
# which is what it would do if it were deaf. The baselines themselves cannot be computed again here,
# since the sounds are not at hand; nor does the paper say whether a sentence or a corpus was scored,
# so the counts hold both.

# %% tags=["hide-input"]
tables.Table(
    report.by_references(answers),
    name="tab-references",
    caption="BLEU-1 in percent points of AudioCaps' test captions by number of references.",
    note="Mean of clips with its 95 % bootstrap interval; below it, the corpus as a whole. "
    + tables.origin(answers["audio_references"]),
)

# %% [markdown]
# ## Exercises
#
# 1. Take the most frequent title and give it to *every* song. Which BLEU-1 does that constant
#    answer reach? Compare it with Table 5.
# 2. Name your own music: `python -m songtitle title song.mp3`. Does the title change when you
#    play the song backwards?
# 3. With five references, which share of its score would the constant answer lose if AudioCaps kept
#    one caption a clip? And what would the songs' scores gain if each song had five titles?
# 4. Titles are often given before the music is written (the paper says so in its conclusion). Which
#    experiment could tell whether *any* system can predict a title from sound better than chance?

# %% tags=["remove-cell"]
for name, value in report.headline(scores).items():
    glue(name, value, display=False)
