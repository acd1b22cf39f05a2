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
# A {term}`captioner` takes pictures. To ask it about a song, the paper makes the song look like one
# of two things the captioner knows: a **picture** (the song's {term}`spectrogram`), or the list of
# numbers that the {term}`decoder` receives *after* the picture network (the song's {term}`timbre`).

# %% tags=["parameters"]
preset: str = "quick"  # settings: tiny, quick, rehearsal, course, best_guess, modern or paper_literal
seed: int = 0  # whole number that all random choices are made from
device: str = "auto"  # where to compute: auto, cpu, cuda or mps
settings: dict = {}  # any others by dotted name, such as {"spectrogram.hop_length": 128}
corpora: str = None  # book, samples, paper, rehearsal or a TOML file; None: the preset's own
song: int = 0  # which test song to hear and see, counted from 0

# %% tags=["hide-input"]
import matplotlib.pyplot as plt
import pandas as pd
from IPython.display import Audio
from myst_nb import glue

from songtitle import config as presets
from songtitle import figures, pictures, sound, tables, timbre
from songtitle.experiment import inputs
from songtitle.experiment.corpora import clips
from songtitle.paper import printed
from songtitle.studies import in_short
from songtitle.studies import inputs as study

figures.use_house_style()
config = presets.preset(preset, settings, seed=seed, device=device, corpora=corpora)
record = clips(config)
tables.made_by([record], config)

# %% tags=["hide-input"]
in_short.inputs(config)

# %% [markdown]
# ## A picture: one crop, many tiles
#
# A random square is cut from the picture or its mirror image: the {term}`crop`. For the rows of
# {numref}`tab-4` that are about pictures, the crop is cut into {term}`tiles <tile>`, each
# captioned on its own; a picture's score is the mean over its tiles. A small tile shows very
# little of what the caption is about.

# %% mystnb={"figure": {"caption": "A test picture, its crop, and the crop as 64 tiles of 32 × 32 pixels.", "name": "fig-tiles"}, "image": {"alt": "Three panels: a whole stamp, the square cropped from it, and the same square under a grid of eight by eight tiles."}} tags=["hide-input"]
picture, crop = inputs.example_picture(config)
figure, axes = plt.subplots(1, 3, figsize=(11, 3.9), layout="constrained")
study.show_picture(picture.numpy(), ax=axes[0])
study.show_picture(crop.numpy(), ax=axes[1])
study.show_tiles(crop.numpy(), 32, ax=axes[2]);

# %% [markdown]
# A picture such as `crop` is an array of numbers between 0 and 1: three colours, rows, columns.
# Cutting it into tiles changes no number; it only says anew which of them belong together.

# %%
import torch

size = config.tile_sizes[0]  # pixels: the smallest tiles of this run
squares = crop.unfold(1, size, size).unfold(2, size, size)  # (3, rows, columns, size, size)
by_hand = squares.permute(1, 2, 0, 3, 4).flatten(0, 1)  # (tiles, 3, size, size), row by row
assert torch.equal(by_hand, pictures.tiles(crop, size))  # what Table 4 scores
print(f"{tuple(crop.shape)} -> {tuple(by_hand.shape)}")

# %% [markdown]
# ## A song: sound, then spectrogram
#
# Listen to one of the test songs, then look at it. Channels are averaged, the mean (the "DC
# offset") is removed, and a {term}`Fourier transform` finds how strong each frequency is in one
# short {term}`window` after another. Each window gives one column, a {term}`frame`.

# %% tags=["hide-input"]
clip = study.clip_of(record, song)
player = Audio(data=clip.read_bytes()[: 8 * 16_000])  # 8 s: an mp3 of 128 kbit/s
player.mimetype = "audio/mpeg"
player

# %% mystnb={"figure": {"caption": "The spectrogram of the song above. The box marks the square that the network is shown.", "name": "fig-spectrogram"}, "image": {"alt": "A spectrogram: time in seconds against frequency in kilohertz, level as brightness. A box marks the frames that the network is shown."}} tags=["hide-input"]
spectral = config.spectrogram
wave = inputs.hear(clip, config)
spectrogram = sound.log_spectrogram(wave, spectral)
first, last = inputs.crop_of(clip, config, spectrogram.shape[-1])
axis = study.show_spectrogram(
    spectrogram.numpy(), sample_rate=spectral.sample_rate,
    hop_length=spectral.hop_length, n_fft=spectral.n_fft,
)
seconds = spectral.hop_length / spectral.sample_rate
study.mark_span(first * seconds, last * seconds, ax=axis);

# %% [markdown]
# ### The same by hand
#
# Here is all that the picture above is made of. The sound is `wave`, one number a sample; the
# settings are `spectral`. `torch.stft` cuts the sound into windows, one every `hop_length` samples,
# lets each fade in and out (the Hann window), and transforms it. The square of what comes out is
# *power*; ten times its logarithm is a level in decibels, counted down from the loudest point of
# the clip and cut off at a floor.

# %%
spare = spectral.n_fft - spectral.window_length  # a window shorter than the transform stands amid 0
padded = torch.nn.functional.pad(wave, (spare // 2, spare - spare // 2))
window = sound.WINDOWS[spectral.window](spectral.window_length)  # torch.hann_window, unless set
waves = torch.stft(
    padded, spectral.n_fft, hop_length=spectral.hop_length, win_length=spectral.window_length,
    window=window, center=False, return_complex=True,
)  # (n_fft // 2 + 1, frames)
power = waves[: spectral.bins].abs() ** 2  # (bins, frames)
level = 10 * torch.log10(power / power.max())  # dB, 0 at the loudest
level = level.clamp(min=-spectral.top_db)

# The library's `log_spectrogram`, with which the figure was drawn; both in single precision, dB.
assert torch.allclose(level, spectrogram, atol=0.1)
print(f"{len(wave):,} samples -> {level.shape[0]} bins, {level.shape[1]:,} frames")

# %% [markdown]
# The network wants a picture. So levels become grey: the floor 0, the loudest point 1, three equal
# colours, and high tones at the top. Of this it is shown the square in the box.

# %%
grey = (1 + level / spectral.top_db).flip(0)  # (bins, frames), highest tone in the first row
picture_of_song = grey.expand(3, -1, -1)  # (3, bins, frames)
of_library = sound.spectrogram_image(spectrogram, spectral)
assert torch.allclose(picture_of_song, of_library, atol=0.01)  # a tenth of a decibel is less

# %% mystnb={"figure": {"caption": "The square in the box, as a picture: made by hand, and as the library gives it to the network.", "name": "fig-by-hand"}, "image": {"alt": "Twice the same grey picture of a piece of a song, high tones at the top: made by hand on the left, by the library on the right."}} tags=["hide-input"]
figure, axes = plt.subplots(1, 2, figsize=(9, 4.4))
by_hand = picture_of_song[:, :, first:last].numpy()
study.show_picture(by_hand, ax=axes[0]).set_title("by hand")
given = inputs.clip_picture(wave, clip.name, config).numpy()
study.show_picture(given, ax=axes[1]).set_title("the library's");

# %% [markdown]
# The paper states a {glue:text}`paper.spectrogram.n_fft:,.0f`-point transform, a window of
# {glue:text}`paper.spectrogram.window:.0f` samples and half a window of overlap at
# {glue:text}`paper.clip.sample_rate:,.0f` Hz, and {glue:text}`paper.spectrogram.bins:.0f` bins by
# about {glue:text}`paper.spectrogram.frames:,.0f` frames. These do not go together: the stated
# settings give twice as many frames. The table shows both readings, computed on this very clip;
# {doc}`16_detective` tries more.

# %% tags=["hide-input"]
readings = {"as stated": presets.PAPER_LITERAL}
readings["as they give about 2,580 frames"] = presets.TRUE_SHAPE
if spectral not in readings.values():
    readings["as set for this page"] = spectral
rows = []
for name, each in readings.items():
    samples = len(sound.load_clip(clip, sample_rate=each.sample_rate, duration=config.clip_seconds))
    asked = [each.sample_rate, each.n_fft, each.window_length, each.hop_length]
    rows.append([name, *asked, samples, each.bins, sound.frame_count(samples, each)])
size = [printed.paper("spectrogram.bins"), printed.paper("spectrogram.frames")]
rows.append(["paper", 44_100, 1_024, 512, 256, None, *size])
columns = ["Setting", "Hz", "Transform", "Window", "Hop", "Samples", "Bins", "Frames"]
tables.Table(
    pd.DataFrame(rows, columns=columns),
    name="tab-spectrogram",
    caption="Two readings of the paper's spectrogram settings, on this clip.",
)

# %% [markdown]
# ## A song: timbre
#
# The Million Song Dataset describes a song by 12 timbre coefficients over its segments: their 12
# means, and the 78 distinct entries of their covariance matrix. Here 12 coefficients of the usual
# kind ({term}`MFCC`) over short frames stand in for them. The 90 numbers are replicated, in a
# random order, to the width of the decoder.

# %% [markdown]
# By hand: librosa gives the coefficients of every frame, NumPy their means and covariances. The
# matrix is the same on both sides of its diagonal, so it is read diagonal by diagonal.

# %%
import librosa
import numpy as np

mfcc = librosa.feature.mfcc(
    y=wave.numpy(), sr=spectral.sample_rate, n_mfcc=12, n_fft=2048, hop_length=512, n_mels=40,
    center=False,
)  # (12, frames)
covariance = np.cov(mfcc)  # (12, 12)
diagonals = [covariance.diagonal(k) for k in range(12)]  # 12 variances, then 11, 10, ... 1 others
numbers = np.concatenate([mfcc.mean(axis=1), *diagonals])  # (90,)
of_library = timbre.timbre_vector(wave, sample_rate=spectral.sample_rate).numpy()
assert np.allclose(numbers, of_library, rtol=1e-3, atol=1e-2)  # double and single precision
print(numbers[:3].round(1), numbers[12:15].round(1))

# %% mystnb={"figure": {"caption": "The 90 timbre numbers of the song above: 12 means, then 78 covariances by diagonal of the matrix.", "name": "fig-timbre"}, "image": {"alt": "A bar chart of ninety numbers on a scale that is logarithmic beyond ten: twelve means, then seventy-eight covariances, in two colours."}} tags=["hide-input"]
study.timbre_bars(of_library);

# %% [markdown]
# The numbers differ in size by orders of magnitude, while the decoder was trained on inputs of
# unit scale. The paper mentions no scaling; this run brings each number to one size over the test
# songs ({term}`standardise`; the switch is `standardise_timbre`). {doc}`12_switchboard` throws it. No
# title is used for that, but how one song is scaled depends on which others are tested with it.
#
# ## What it means
#
# The network now gets songs in a form that it can read. Whether it makes *sense* of them is
# another matter. It has learnt from photos, where a shape is the same shape when it is moved up
# or down. In a spectrogram up is a higher tone and right is later: moved, it is another sound.
# And of the whole clip the network gets one square. So the way from sound to words is narrow.
# {doc}`03_training` shows the network, {doc}`06_similarity` asks whether songs look like pictures
# to it, and {doc}`09_controls` whether anything comes through.

# %% [markdown]
# ## Exercises
#
# ```{exercise} Frames
# :label: ex-02-1
#
# A frame begins every `hop` samples, and only windows that fit whole count. Write
# `frames(samples, window, hop)`. Then compute `step_ms`, the milliseconds between two frames at
# `22050` samples a second and a hop of `256`.
# ```
#
# ```{solution-start} ex-02-1
# :label: sol-02-1
# :class: dropdown
# ```
#
# The first window needs `window` samples, each further one `hop` more. A frame stands for less than
# twelve thousandths of a second: far shorter than any note.

# %% tags=["solution"]
def frames(samples, window, hop):
    """How many windows fit, one every hop."""
    return 1 + (samples - window) // hop

step_ms = 1000 * 256 / 22_050

# %% [markdown]
# ```{solution-end}
# ```

# %% tags=["check", "remove-cell"]
assert frames(512, 512, 256) == 1
assert frames(768, 512, 256) == 2

# %% tags=["hidden-check", "remove-cell"]
assert frames(len(wave), spectral.window_length, spectral.hop_length) == spectrogram.shape[-1]
assert frames(1023, 512, 256) == 2

# %% tags=["hidden-check", "remove-cell"]
assert abs(step_ms - 11.60998) < 1e-3

# %% [markdown]
# ```{exercise} Twice as loud
# :label: ex-02-2
#
# The clip is played twice as loud. Which pixels of its spectrogram change? Which of the 90 numbers?
# ```
#
# ```{solution} ex-02-2
# :label: sol-02-2
# :class: dropdown
#
# No pixel: levels are counted from the clip's own loudest bin, and all levels rise alike. Of timbre
# only the first mean: twice the amplitude adds the same number of decibels to every mel band, and only
# the first coefficient measures what all bands have in common. A constant that is added to it leaves
# its variance and covariances as they were. (Very quiet frames may be cut off at a floor elsewhere.)
# ```
#
# ```{exercise} Why seventy-eight?
# :label: ex-02-3
#
# A covariance matrix of 12 coefficients has $12 \times 12$ entries. Why are only 78 of them kept, and
# how many would there be with 20 coefficients?
# ```
#
# ```{solution} ex-02-3
# :label: sol-02-3
# :class: dropdown
#
# The matrix is the same on both sides of its diagonal: 12 variances and $12 \cdot 11 / 2 = 66$ pairs.
# With 20 coefficients, $20 + 20 \cdot 19 / 2 = 210$.
# ```

# %% tags=["remove-cell"]
for name in ("clip.sample_rate", "image.crop", *(f"spectrogram.{n}" for n in ("n_fft", "window", "bins", "frames"))):
    glue(f"paper.{name}", printed.paper(name), display=False)
