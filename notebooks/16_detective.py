# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # The spectrogram detective: which settings made the paper's picture?
#
# The paper says how it turned sound into pictures, and how large they were. Both cannot be true.
# This page lines up six suspects, one clip and a little arithmetic. You can follow every step with
# a pencil.

# %% tags=["parameters"]
preset: str = "quick"  # settings: tiny, quick, rehearsal, course, best_guess, modern or paper_literal
seed: int = 0  # whole number that all random choices are made from
device: str = "auto"  # where to compute: auto, cpu, cuda or mps
settings: dict = {}  # any others by dotted name, such as {"spectrogram.hop_length": 128}
corpora: str = None  # book, samples, paper, rehearsal or a TOML file; None: the preset's own
song: int = 0  # which test song to hear and see, counted from 0

# %% tags=["hide-input"]
from myst_nb import glue

from songtitle import config as presets
from songtitle import figures, tables
from songtitle.experiment.corpora import clips
from songtitle.paper import printed
from songtitle.studies import in_short
from songtitle.studies import inputs as study

figures.use_house_style()
config = presets.preset(preset, settings, seed=seed, device=device, corpora=corpora)
record = clips(config)
tables.made_by([record], config)

# %% tags=["hide-input"]
in_short.detective()

# %% [markdown]
# ## What the paper says
#
# Section 4.1, in six statements: clips are sampled at {glue:text}`paper.clip.sample_rate:,.0f` Hz,
# so each spans roughly {glue:text}`paper.clip.samples:,.0f` samples. A transform of
# {glue:text}`paper.spectrogram.n_fft:,.0f` points, a window of
# {glue:text}`paper.spectrogram.window:.0f` samples, and an overlap of half the window. The picture
# has {glue:text}`paper.spectrogram.bins:.0f` frequency bins and about
# {glue:text}`paper.spectrogram.frames:,.0f` time frames.
#
# ## The arithmetic
#
# Two rules are enough.
#
# **Bins.** A {term}`transform <Fourier transform>` of *n* points tells *n* / 2 frequencies apart (with the highest left out, as
# here). Only fewer points, or throwing rows away, make fewer bins.
#
# **Frames.** A {term}`window` lies on the first samples, then moves on by one
# {term}`hop <hop length>` at a time, as long as it fits:
#
# $$\text{frames} = 1 + \left\lfloor \frac{\text{samples} - \text{window}}{\text{hop}} \right\rfloor$$
#
# Half the window overlaps, so the hop is the other half. Taken at its word (setting A), the paper
# would have pictures of {glue:text}`detective.written_bins` bins by
# {glue:text}`detective.written_frames:,.0f` frames: twice as high and twice as long as it says. So
# here are six suspects. Each of the others changes some of the paper's words.

# %% tags=["hide-input"]
columns = {"Setting": "name", "Rate (Hz)": "sample_rate", "Transform": "n_fft"}
columns |= {"Window": "window_length", "Hop": "hop_length", "Bins kept": "bins"}
columns["Up to (kHz)"] = lambda row: row["bins"] * row["sample_rate"] / row["n_fft"] / 1000
tables.Table(
    tables.tabulate([vars(each) | {"name": name} for name, each in study.SETTINGS.items()], columns),
    name="tab-settings",
    caption="Six settings. Transform, window and hop are in samples.",
)

# %% [markdown]
# The rules meet the real thing: the last column is of spectrograms computed from one clip of this
# run.

# %% tags=["hide-input"]
clip = study.clip_of(record, song)
spectrograms = study.spectrograms_of(clip, config)
tables.Table(
    study.arithmetic(spectrograms, config),
    name="tab-frames",
    caption="One clip under six settings: bins and frames by arithmetic (// divides and drops the "
    "rest), and bins × frames as computed.",
    note=tables.origin(record),
)

# %% mystnb={"figure": {"caption": "The same clip under six settings, one pixel as large in every panel. Dashed: the size that the paper states, for a clip of thirty seconds.", "name": "fig-settings"}, "image": {"alt": "Six spectrograms in grey on one scale of bins and frames, each under a dashed frame of the size that the paper states."}} tags=["hide-input"]
stated = int(printed.paper("spectrogram.bins")), int(printed.paper("spectrogram.frames"))
study.settings_panels(spectrograms, stated);

# %% [markdown]
# ## Which sentence has to go?
#
# {glue:text}`detective.fits` of the {glue:text}`detective.settings` settings fill the dashed frame.
# Each of them breaks with something else that the paper says; {glue:text}`detective.clean` of them
# agree with all of it.

# %% tags=["hide-input"]
tables.Table(
    study.against_the_paper(),
    name="tab-contradictions",
    caption="Each setting against each statement of the paper, for a clip of the stated length; in "
    "brackets, its frames.",
    note="“About” is taken to be within one in a hundred, as everywhere in the ledger of claims.",
)

# %% [markdown]
# ## A clue in the lengths
#
# The paper adds that the number of frames varies slightly, because clips are not precisely thirty
# seconds long. Real clips of its collection could be measured for this book ({doc}`07_paper_corpora`). The table has
# the frames of a shorter and of a longer one.

# %% tags=["hide-input"]
tables.Table(
    study.real_lengths(),
    name="tab-lengths-real",
    caption="Frames of two real clips of the paper's collection under the six settings.",
)

# %% [markdown]
# ## The verdict
#
# Nobody can know which sentence is wrong: the code was not published. But two suspects leave the
# same traces. Setting D takes a window as long as the transform and keeps the lower half of the
# bins; setting F hears half the samples. Both have the same hertz to a bin, the same milliseconds to
# a frame and the same highest frequency, {glue:text}`detective.lowest:,.0f` Hz. On this clip their
# pictures correlate at {glue:text}`detective.same:.3f`. So it matters little which of the two was
# meant: what the network saw was nearly the same. The book takes F, with the preset `paper_literal`
# for B, and {doc}`12_switchboard` tells what the choice does to the score.
#
# ## What it means
#
# A method section can be precise in every number and still not say what was done. A
# line of code, or a shape printed by it, would have settled it.

# %% [markdown]
# ## Exercises
#
# ```{exercise} Ten seconds
# :label: ex-16-1
#
# Setting F hears `22050` samples a second, with a window of `512` and a hop of `256` samples. Compute
# `count`, the frames of a clip of ten seconds, and `seen`, the seconds of it that a square of `256`
# frames holds (from the first sample of its first window to the last of its last).
# ```
#
# ```{solution-start} ex-16-1
# :label: sol-16-1
# :class: dropdown
# ```
#
# The network is shown less than a third of ten seconds.

# %% tags=["solution"]
count = 1 + (10 * 22_050 - 512) // 256
seen = (255 * 256 + 512) / 22_050

# %% [markdown]
# ```{solution-end}
# ```

# %% tags=["check", "remove-cell"]
assert count > 0 and seen > 0

# %% tags=["hidden-check", "remove-cell"]
assert count == 860

# %% tags=["hidden-check", "remove-cell"]
assert abs(seen - 2.9838) < 1e-3

# %% [markdown]
# ```{exercise} A seventh suspect
# :label: ex-16-2
#
# Find another setting that gives the stated size from a clip of thirty seconds. Which statement of the
# paper does it contradict?
# ```
#
# ```{solution} ex-16-2
# :label: sol-16-2
# :class: dropdown
#
# For instance the stated rate with a transform and a window of $512$ points and no overlap: the hop is
# then $512$ samples, which halves the frames, and $512$ points give $256$ bins. It contradicts the
# stated size of the transform, and the overlap. Any setting has to contradict something: as written, the
# statements give twice as many of both.
# ```

# %% tags=["remove-cell"]
names = ["clip.sample_rate", "clip.samples", *(f"spectrogram.{n}" for n in ("n_fft", "window", "bins", "frames"))]
facts = {f"paper.{name}": printed.paper(name) for name in names} | study.detective_facts()
for name, value in (facts | {"detective.same": study.same_picture(spectrograms)}).items():
    glue(name, value, display=False)
