# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Real samples: what comes out on the paper's own kind of data?
#
# The other pages work on stamps and folk tunes. This one works on data of the kind the paper had:
# a {term}`captioner` trained on real **photos** with captions that people wrote (Flickr8k), asked
# for the titles of real **Million Song** tracks from their own {term}`timbre`, and of **recordings**
# that free games carry, from timbre and {term}`spectrogram`. It is thousands of times smaller than
# the paper's run. But it asks the paper's question with nothing made up: does the song help?

# %% tags=["parameters"]
preset: str = "quick"  # settings: tiny, quick, rehearsal, course, best_guess, modern or paper_literal
seed: int = 0  # whole number that all random choices are made from
device: str = "auto"  # where to compute: auto, cpu, cuda or mps
settings: dict = {}  # any others by dotted name, such as {"spectrogram.hop_length": 128}
corpora: str = None  # book, samples, paper, rehearsal or a TOML file; None: the preset's own
again: bool = False  # True: train here (takes the files and an hour); False: show the published

# %% tags=["hide-input"]
from myst_nb import glue

from songtitle import cache, figures, tables
from songtitle import config as presets
from songtitle.experiment import baselines, samples, scoring, second_ear
from songtitle.studies import in_short
from songtitle.studies import listening as study_listening
from songtitle.studies import samples as study
from songtitle.studies import search as study_search

figures.use_house_style()
quick = scoring.score_table(presets.preset(preset, settings, seed=seed, device=device, corpora=corpora))
sampled = presets.preset("samples")
record = study.samples(again=again)
heard = cache.published(samples.track_listening, sampled, again=again)
others = study.as_samples(cache.published(baselines.baselines, sampled, again=again))
ear = cache.published(second_ear.second_ear, sampled, again=again, stays=True)
study.samples_note(record, heard, others, ear)

# %% tags=["hide-input"]
in_short.samples(record)

# %% [markdown]
# ## Table 4 on real samples
#
# One block of lines for each input. *Real samples* is the mean over the {term}`seeds <seed>` with
# its 95 % interval over series (artists, photos) and seeds alike (two-way, Student's *t*);
# {term}`tiles <tile>` were scored for one seed
# alone, with a {term}`bootstrap` interval over photos. {term}`Chance <chance>` is what the same
# outputs score against the wrong references, and in how many of the seeds the songs' own titles
# did better than random ones at *p* < 0.05.

# %% tags=["hide-input"]
tables.Table(
    study.samples_table(record, quick), name="tab-real",
    caption="Table 4 on real photos and songs: BLEU-1 in percent points, by input and beam size.",
    note=study.samples_table_note(record),
)

# %% mystnb={"figure": {"caption": "BLEU-1 above chance on real data, one mark a seed with its 95 % bootstrap interval.", "name": "fig-samples"}, "image": {"alt": "Gain over chance in percent points, one row for each input: photos whole and in tiles, Million Song tracks with their own timbre, with another track's, and with all ninety numbers, and recordings read as spectrograms and as timbre; a dashed line marks chance."}} tags=["hide-input"]
study.gains_by_seed(study.samples_gains(record));

# %% [markdown]
# Photos first: they show what it looks like when a captioner *does* use its input. Then the
# songs. "Timbre of another" gives each title the numbers of another track, as a join row by row
# of two lists in different orders would. If a song's own timbre helped, the first of the two rows
# would lie to the right of the second; the first table below subtracts them title by title. The
# second says what the captioners learnt of photos at all: a captioner that looks is less
# surprised by a caption when it sees the photo that belongs to it.

# %% tags=["hide-input"]
display(
    tables.Table(
        study.samples_join(record), name="tab-samples-join",
        caption="The same titles with their own timbre and with another track's (percent points).",
        note=f"p: random signs of the titles' differences. {tables.definition_note(record, 'bleu1')}",
    ),
    tables.Table(
        study.samples_learnt(record), name="tab-samples-learnt",
        caption="What the captioners learnt of photos, each at the epoch that is best on the very "
        "captions that perplexity is told of; scores in percent points.",
    ),
)

# %% [markdown]
# ## Is there anything to hear?
#
# The positive control of {doc}`09_controls`, on real tracks: a ridge regression from the same
# timbre numbers to the words of titles, trained on tracks of other artists than those that are asked
# about. Below it the {doc}`ceiling <04_search>` of the captioner's outputs, and what needs no
# captioner at all: the nearest neighbour, and one text for all.

# %% tags=["hide-input"]
display(*study_listening.shown(heard, "samples-listening"))
display(*study_search.without_captioner(study.samples_gains(record), others, "samples"))

# %% [markdown]
# ## A second ear
#
# Perhaps the picture network is the wrong ear. `musicnn` {cite:p}`pons2019` was trained on music: it
# hears 50 tags, such as *guitar* or *slow*, in the sound of Million Song tracks. Below, the same
# regression reads the titles of the same recordings from that network's last layer, from its tags,
# and from the two readings of this book. The last table asks whether an ear tells music apart at all:
# then pieces of one artist should be neighbours more often than by chance.

# %% tags=["hide-input"]
display(*study_listening.shown(ear, "second-ear"))

# %% [markdown]
# ## What it means

# %% tags=["hide-input"]
study.samples_conclusion(record)

# %% [markdown]
# ## Without the song
#
# What does the row of Million Song score when the decoder is given nothing of the songs? And where
# does a song's true title rank when no search is made at all? {doc}`09_controls` explains each of
# these {term}`controls <control>`.

# %% tags=["hide-input"]
display(
    tables.Table(
        study.samples_controls(record),
        name="tab-samples-controls",
        caption="Million Song's titles named without the song, and the real input's lead over it.",
        note=f"{study.lowest_p(record)} {tables.definition_note(record, 'bleu1')}",
    ),
    tables.Table(
        study.samples_retrieval(record), name="tab-samples-retrieval",
        caption="No search, no BLEU: where the true title ranks among all, by likelihood.",
        note=study.lowest_p(record),
    ),
)

# %% [markdown]
# ## Which BLEU?
#
# The same outputs, scored by five definitions of BLEU, with chance in brackets. The level of the
# scores is made by the definition and by chance, not by the songs: compare each score with the
# bracket beside it, and then with the paper's column. How the definitions differ is the story of
# {doc}`11_forensics`.

# %% tags=["hide-input"]
tables.Table(
    study.samples_definitions(record),
    name="tab-samples-definitions",
    caption="The same outputs under each definition of BLEU, in percent points; chance in brackets.",
    note=tables.definition_note(record),
)

# %% [markdown]
# ## Exercises
#
# ```{exercise} Clear of chance
# :label: ex-13-1
#
# Which inputs of the figure lie clear of chance for every seed? What do the intervals of recordings,
# which are by few artists, say, and what do they not say?
# ```
#
# ```{solution} ex-13-1
# :label: sol-13-1
# :class: dropdown
#
# Clear are those all of whose bars lie to the right of the dashed line. A wide interval around chance
# says that an effect larger than its reach would have shown; a smaller one may or may not be there.
# No sign of an effect is not a sign of none, and the fewer songs, the less it is one.
# ```
#
# ```{exercise} The most that a vocabulary allows
# :label: ex-13-2
#
# A title has four words, of which the captioner knows two. It may say only the two, or the two and
# two others. Which scores higher by BLEU-1? What is the highest score for $m$ known words of $n$?
# ```
#
# ```{solution} ex-13-2
# :label: sol-13-2
# :class: dropdown
#
# Two words: $1 \cdot e^{1 - 4/2} = e^{-1} \approx 0.37$. Four words: $2/4 = 0.5$. In general $m/n$
# against $e^{1 - n/m}$; with $x = n/m$ that is $1/x$ against $e^{1-x}$, and since $e^{x-1} \ge x$
# the longer answer never scores less. So no system with that vocabulary has a mean above the mean
# share of known words.
# ```
#
# ```{exercise} Would a thousand titles do?
# :label: ex-13-3
#
# You want to show that timbre helps by a quarter of a percent point. Differences between two readings
# of a title spread by $\sigma$ points. About $7.8\,(\sigma/\delta)^2$ titles find a difference of
# $\delta$ in four of five trials. Up to which $\sigma$ would 1,000 do?
# ```
#
# ```{solution} ex-13-3
# :label: sol-13-3
# :class: dropdown
#
# $7.8\,(\sigma/0.25)^2 \le 1000$ gives $\sigma \le 0.25\,\sqrt{1000/7.8} \approx 2.8$ points. Single
# titles score 0 or some tens of points, so differences spread more than that unless both readings
# answer nearly alike. {doc}`09_controls` has the table for this book's songs.
# ```

# %% tags=["remove-cell"]
for name, value in study.samples_facts(record).items():
    glue(f"samples.{name}", value, display=False)
