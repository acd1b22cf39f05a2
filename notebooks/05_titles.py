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

from songtitle import experiment, plots, presets, report, tables

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
# ## Table 5, with chance
#
# The paper sets its scores beside AudioCaps. That comparison is the paper's own and does not rank
# anything: AudioCaps has several references per clip, which raises BLEU, and captions of sounds
# rather than titles.

# %% tags=["hide-input"]
tables.Table(
    report.table_5(scores),
    name="tab-5",
    caption="Table 5. BLEU-1 in percent points from timbre (MFCC) and spectrograms.",
    note=report.signature(scores),
)

# %% [markdown]
# ## Exercises
#
# 1. Take the most frequent title and give it to *every* song. Which BLEU-1 does that constant
#    answer reach? Compare it with Table 5.
# 2. Name your own music: `python -m songtitle title song.mp3`. Does the title change when you
#    play the song backwards?
# 3. Titles are often given before the music is written (the paper says so in its conclusion). Which
#    experiment could tell whether *any* system can predict a title from sound better than chance?

# %% tags=["remove-cell"]
for name, value in report.headline(scores).items():
    glue(name, value, display=False)
