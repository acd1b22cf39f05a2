# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Listen and guess: can you hear a title?
#
# Before you judge a machine, try it yourself. Below are {glue:text}`gallery.songs` of the test
# songs. Play one, look at the picture that the network gets of it, and choose its title. The songs
# and the wrong titles were drawn by the seed of the run, by nobody's taste.

# %% tags=["parameters"]
preset: str = "quick"  # settings: tiny, quick, rehearsal, course, best_guess, modern or paper_literal
seed: int = 0  # whole number that all random choices are made from
device: str = "auto"  # where to compute: auto, cpu, cuda or mps
settings: dict = {}  # any others by dotted name, such as {"spectrogram.hop_length": 128}
corpora: str = None  # book, samples, paper, rehearsal or a TOML file; None: the preset's own

# %% tags=["hide-input"]
from myst_nb import glue

from songtitle import config as presets
from songtitle import figures, tables
from songtitle.experiment import gallery, scoring
from songtitle.studies import gallery as study
from songtitle.studies import in_short

figures.use_house_style()
config = presets.preset(preset, settings, seed=seed, device=device, corpora=corpora)
record, scores = gallery.gallery_songs(config), scoring.score_table(config)
tree = gallery.branches(config, record.result["songs"][0]["place"])
tables.made_by([record, tree], config)

# %% tags=["hide-input"]
in_short.gallery(record)

# %% [markdown]
# ## What does guessing get?
#
# Somebody who hears nothing and picks one of {glue:text}`gallery.choices` titles is right
# {glue:text}`gallery.blind:.0f` % of the time. So that is where your own score begins, and the
# model's too. The model need not say a title to take the quiz: it picks the one that it finds
# likeliest for the song. It may do so for all {glue:text}`gallery.items:,.0f` test songs.

# %% tags=["hide-input"]
tables.Table(
    study.guessing(record, scores),
    name="tab-guessing",
    caption="What guessing gets, and what the model gets from spectrograms.",
    note="In brackets: 95 % bootstrap interval over songs. Titles that it finds equally likely are "
    "told apart by lot. " + tables.origin(record),
)

# %% [markdown]
# The first quiz row is {glue:text}`gallery.share:.1f` %, with an interval from
# {glue:text}`gallery.low:.1f` to {glue:text}`gallery.high:.1f` %. An interval that holds
# {glue:text}`gallery.blind:.0f` % leaves blind guessing possible. Short titles of common words are
# likely for *every* song; the second row takes that lead away.
#
# One reason is plain: a caption's words are no title's words. Of the {glue:text}`gallery.songs`
# true titles below, {glue:text}`gallery.known` hold even one word that the model could say.
#
# ## The songs
#
# The player holds {glue:text}`gallery.played:.0f` seconds of the very clip that the network got, but
# the network is shown a square of {glue:text}`gallery.seen:.1f` seconds: all the rest is for you
# alone. Each picture is that square, grey by grey: time runs to the right, low notes lie at the
# foot, black is silence. Beside it stand the five titles of {term}`beam search`, the chance title of
# another song, the words of a *listener* that learnt other songs' titles from the same squares
# ({doc}`09_controls`), and the true title behind a click. A score counts your guesses.

# %% tags=["hide-input"]
study.gallery_cards(record, config)

# %% [markdown]
# And **recordings**, music played and produced by the people who named it ({doc}`13_samples` asks
# what the captioner makes of such). Excerpts, with artist and licence:

# %% tags=["hide-input"]
study.recordings_to_hear(config)

# %% [markdown]
# What did you hear that the network did not? You know dances from laments, and that a reel is
# called a reel. You also had more of the music. And still: whoever named these tunes mostly did not
# describe them. If your score stays near chance, the fault need not lie with the listener; a title
# may simply not be in the sound. That is the question of the whole book, and the reason why every
# score in it stands beside what chance gets.
#
# ## One song, every branch
#
# Beam search keeps the *k* likeliest beginnings at every step. Drawn as a tree, its titles share
# their beginnings. These are the trees of song 1. With *k* = 1, which is greedy search, there is one
# branch.

# %% mystnb={"figure": {"caption": "Greedy search, k = 1: the likeliest word at every step. Below each word, the log-probability (nats) of the title so far.", "name": "fig-beam-1"}, "image": {"alt": "A single row of boxes, one for each word, each with a log-probability."}} tags=["hide-input"]
study.beam_tree(study.hypotheses_at(tree, 1));

# %% mystnb={"figure": {"caption": "Beam search, k = 5: the titles of song 1 as a tree, the winner on top.", "name": "fig-beam-5"}, "image": {"alt": "A tree of words from left to right; the winning branch is the top line, shaded."}} tags=["hide-input"]
study.beam_tree(study.hypotheses_at(tree, 5));

# %% mystnb={"figure": {"caption": "Beam search, k = 20: a wider beam keeps more branches, and may find a likelier winner.", "name": "fig-beam-20"}, "image": {"alt": "A larger tree of words from left to right; the winning branch is the top line, shaded."}} tags=["hide-input"]
study.beam_tree(study.hypotheses_at(tree, 20));

# %% [markdown]
# Every word adds its log-probability, which is below zero: the longer a title, the lower its sum.
# So the widest tree can end in the shortest title, likelier than all others and saying least. The
# same trees as a table:

# %% tags=["hide-input"]
tables.Table(
    study.tree_table(tree),
    name="tab-branches",
    caption="Every hypothesis of the trees: its words and its end are its tokens, and their "
    "log-probabilities (nats) add up to its own.",
    note=tables.origin(tree),
)

# %% [markdown]
# ## What it means
#
# A wider beam does not hear more. It finds likelier words for whatever was heard, and if that was
# nothing, likelier words for nothing. So look at two things only: whether different songs get
# different titles, and whether they are nearer to the true one than to a {term}`chance` title.
# {doc}`05_titles` counts the first, {doc}`04_search` and {doc}`09_controls` the second. Songs of your
# own can be named on {doc}`../demo`.

# %% [markdown]
# ## Exercises
#
# ```{exercise} Better than one in four?
# :label: ex-15-1
#
# A quiz offers four titles for each song. How many songs would you need, roughly, to tell a true
# rate of one in three from blind guessing, at 95 percent?
# ```
#
# ```{solution} ex-15-1
# :label: sol-15-1
# :class: dropdown
#
# The rate of $n$ guesses has a standard error of about $\sqrt{0.25 \cdot 0.75/n}$. For two of these to
# be less than $1/3 - 1/4 = 0.083$: $n > 0.1875 \cdot (2/0.083)^2 \approx 108$. With the songs of one
# page a score a little above chance is luck as likely as not.
# ```
#
# ```{exercise} Beyond all
# :label: ex-15-2
#
# Two titles of five tokens and of two have log-probabilities of `-7.5` and `-4.0` nats. Which one does
# a search rank first that goes by the sum? Which one by the mean per token?
# ```
#
# ```{solution} ex-15-2
# :label: sol-15-2
# :class: dropdown
#
# By the sum the short one: $-4.0 > -7.5$. By the mean the long one: $-7.5/5 = -1.5$ beats
# $-4.0/2 = -2$. The same two titles, the same model; only the ranking differs.
# ```

# %% tags=["remove-cell"]
for name, value in study.gallery_facts(record).items():
    glue(name, value, display=False)
