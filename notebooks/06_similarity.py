# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Similarity: do songs look like pictures to the decoder?
#
# The paper argues that a captioner can name songs because their vectors lie among those of
# pictures on a t-SNE map. This page redraws the maps and adds a number that does not depend on the
# map: how well songs **mix** with pictures among nearest neighbours in the full space.

# %% tags=["parameters"]
preset = "quick"
seed = 0
device = "auto"

# %% tags=["hide-input"]
import pandas as pd
from myst_nb import glue

from songtitle import experiment, plots, presets, report, tables

plots.use_house_style()
config = presets.preset(preset, seed=seed, device=device)
record = experiment.similarity(config)
timbre, spectrogram = (pd.read_csv(record.file(f"{n}.csv")) for n in ("timbre", "spectrogram"))
tables.made_by([record], config)

# %% mystnb={"figure": {"caption": "Figure 7a of the paper, redone: pictures and timbre vectors as the decoder receives them.", "name": "fig-7a"}, "image": {"alt": "A t-SNE map of picture vectors and timbre vectors, each kind in its own marker."}} tags=["hide-input"]
plots.similarity_map(timbre[["x", "y"]].to_numpy(), timbre["kind"]);

# %% mystnb={"figure": {"caption": "Figure 7b of the paper, redone: pictures and spectrograms as the decoder receives them.", "name": "fig-7b"}, "image": {"alt": "A t-SNE map of picture vectors and spectrogram vectors, each kind in its own marker."}} tags=["hide-input"]
plots.similarity_map(spectrogram[["x", "y"]].to_numpy(), spectrogram["kind"]);

# %% [markdown]
# ## What the maps cannot say, a number can
#
# t-SNE keeps neighbourhoods, not distances or containment: clusters that look apart may be close,
# and a cloud that looks contained may be far away in the directions the map has dropped. Mixing
# counts: of the nearest neighbours of a song, how many are pictures, compared with a random
# mixture. Held-out pictures show what a good mixture looks like.

# %% tags=["hide-input"]
tables.Table(
    report.mixing(record),
    name="tab-mixing",
    caption="Mixing into the training pictures: 1 as if drawn together, 0 fully apart.",
)

# %% [markdown]
# ## Exercises
#
# 1. Look at the maps first and guess the two mixing numbers; then read the table.
# 2. Being among the pictures is one thing, being *understood* another. Sketch a set of vectors that
#    mixes perfectly with pictures and yet carries no information about any song.
# 3. Draw the map with another seed (`-p seed 1`). What stays, what moves?

# %% tags=["remove-cell"]
for name, value in report.facts(record).items():
    glue(name, value, display=False)
