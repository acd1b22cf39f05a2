# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Inputs: what does the network see of a picture, and of a song?
#
# A captioner takes pictures. To ask it about a song, the paper makes the song look like one of
# two things the captioner knows: a **picture** (its spectrogram), or the vector that the decoder
# receives *after* the picture network (its timbre).

# %% tags=["parameters"]
preset = "quick"
seed = 0
device = "auto"
song = 0

# %% tags=["hide-input"]
import matplotlib.pyplot as plt
from IPython.display import Audio
from myst_nb import glue

from songtitle import audio, claims, experiment, plots, presets, report, tables, timbre

plots.use_house_style()
config = presets.preset(preset, seed=seed, device=device)
record = experiment.clips(config)
tables.made_by([record], config)

# %% [markdown]
# ## A picture: one crop, many tiles
#
# A random square is cropped from the picture or its mirror image. For the in-domain rows of
# Table 4 the crop is cut into tiles, each captioned on its own; a picture's score is the mean over
# its tiles. A small tile shows very little of what the caption is about.

# %% mystnb={"figure": {"caption": "A test picture, its crop, and the crop as 64 tiles of 32 × 32 pixels.", "name": "fig-tiles"}, "image": {"alt": "Three panels: a whole stamp, the square cropped from it, and the same square under a grid of eight by eight tiles."}} tags=["hide-input"]
picture, crop = experiment.example_picture(config)
figure, axes = plt.subplots(1, 3, figsize=(11, 3.9), layout="constrained")
plots.show_picture(picture.numpy(), ax=axes[0])
plots.show_picture(crop.numpy(), ax=axes[1])
plots.show_tiles(crop.numpy(), 32, ax=axes[2]);

# %% [markdown]
# ## A song: sound, then spectrogram
#
# Listen to one of the test songs, then look at it. Channels are averaged, the mean (the "DC
# offset") is removed, and each column is the strength of each frequency in one short window.

# %% tags=["hide-input"]
clip = report.clip_of(record, song)
player = Audio(data=clip.read_bytes()[: 8 * 16_000])  # 8 s: an mp3 of 128 kbit/s
player.mimetype = "audio/mpeg"
player

# %% mystnb={"figure": {"caption": "The spectrogram of the song above. The box marks the square that the network is shown.", "name": "fig-spectrogram"}, "image": {"alt": "A spectrogram: time in seconds against frequency in kilohertz, level as brightness. A box marks the frames that the network is shown."}} tags=["hide-input"]
settings = config.spectrogram
wave = experiment.hear(clip, config)
spectrogram = audio.log_spectrogram(wave, settings)
first, last = experiment.crop_of(clip, config, spectrogram.shape[-1])
axis = plots.show_spectrogram(
    spectrogram.numpy(), sample_rate=settings.sample_rate,
    hop_length=settings.hop_length, n_fft=settings.n_fft,
)
seconds = settings.hop_length / settings.sample_rate
plots.mark_span(first * seconds, last * seconds, ax=axis);

# %% [markdown]
# The paper states a {glue:text}`paper.spectrogram.n_fft:,.0f`-point transform, a window of
# {glue:text}`paper.spectrogram.window:.0f` samples and half a window of overlap at
# {glue:text}`paper.clip.sample_rate:,.0f` Hz, and {glue:text}`paper.spectrogram.bins:.0f` bins by about
# {glue:text}`paper.spectrogram.frames:,.0f` frames. These do not go together: the stated settings give
# twice as many frames. The table shows both readings, computed on this very clip.

# %% tags=["hide-input"]
tables.Table(
    report.spectrogram_shapes(clip, config),
    name="tab-spectrogram",
    caption="Two readings of the paper's spectrogram settings, on this clip.",
)

# %% [markdown]
# ## A song: timbre
#
# The Million Song Dataset describes a song by 12 timbre coefficients over its segments: their
# 12 means, and the 78 distinct entries of their covariance matrix. Here 12 MFCCs over short frames
# stand in for them. The 90 numbers are replicated, in a random order, to the width of the decoder.

# %% mystnb={"figure": {"caption": "The 90 timbre numbers of the song above: 12 means, then 78 covariances by diagonal of the matrix.", "name": "fig-timbre"}, "image": {"alt": "A bar chart of ninety numbers on a scale that is logarithmic beyond ten: twelve means, then seventy-eight covariances, in two colours."}} tags=["hide-input"]
plots.timbre_bars(timbre.timbre_vector(wave, sample_rate=settings.sample_rate).numpy());

# %% [markdown]
# The numbers differ in size by orders of magnitude, while the decoder was trained on inputs of
# unit scale. The paper mentions no scaling; this run standardises each number over the test songs
# (`standardise_timbre` is the switch).
#
# ## Exercises
#
# 1. With a sampling rate of 22,050 Hz and a hop of 256 samples, how many milliseconds lie between
#    two frames? How many seconds of the song does a 256-frame square hold?
# 2. Change `song` and listen. Which features of the sound can you read off the spectrogram?
# 3. Which of the 90 numbers would change if the clip were played twice as loud? And which of the
#    pixels?

# %% tags=["remove-cell"]
for name in ("clip.sample_rate", "image.crop", *(f"spectrogram.{n}" for n in ("n_fft", "window", "bins", "frames"))):
    glue(f"paper.{name}", claims.paper(name), display=False)
