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
# The {term}`decoder` was trained on pictures, each a list of numbers (a vector, an
# {term}`embedding`). The paper gives it vectors of songs, draws both on a {term}`t-SNE` map, and
# finds the {term}`timbre` vectors "fully contained" among the pictures, some
# {term}`spectrograms <spectrogram>` at the border. This page redraws the maps, draws them again
# with other settings, and puts beside them numbers that do not depend on any map. What could
# "contained" mean, and is it so?

# %% tags=["parameters"]
preset: str = "quick"  # settings: tiny, quick, rehearsal, course, best_guess, modern or paper_literal
seed: int = 0  # whole number that all random choices are made from
device: str = "auto"  # where to compute: auto, cpu, cuda or mps
settings: dict = {}  # any others by dotted name, such as {"spectrogram.hop_length": 128}
corpora: str = None  # book, samples, paper, rehearsal or a TOML file; None: the preset's own
map_items: int = 240  # points on each of the small maps

# %% tags=["hide-input"]
import pandas as pd
from myst_nb import glue

from songtitle import config as presets
from songtitle import figures, tables
from songtitle.experiment import inputs, learning, similarity
from songtitle.studies import in_short
from songtitle.studies import similarity as study

figures.use_house_style()
config = presets.preset(preset, settings, seed=seed, device=device, corpora=corpora)
record = similarity.similarity(config)
likeness = similarity.likeness(config)
grid = similarity.map_grid(config, map_items)
tables.made_by([record, likeness, grid], config)

# %% tags=["hide-input"]
in_short.similarity(likeness)

# %% [markdown]
# ## The paper's two maps

# %% mystnb={"figure": {"caption": "Figure 7a of the paper, redone: pictures and timbre vectors as the decoder receives them.", "name": "fig-7a"}, "image": {"alt": "A t-SNE map of picture vectors and timbre vectors, each kind in its own marker and colour; the axes have no unit."}} tags=["hide-input"]
timbre = pd.read_csv(record.file("timbre.csv"))
study.similarity_map(timbre[["x", "y"]].to_numpy(), timbre["kind"]);

# %% mystnb={"figure": {"caption": "Figure 7b of the paper, redone: pictures and spectrograms as the decoder receives them.", "name": "fig-7b"}, "image": {"alt": "A t-SNE map of picture vectors and spectrogram vectors, each kind in its own marker and colour; the axes have no unit."}} tags=["hide-input"]
spectrogram = pd.read_csv(record.file("spectrogram.csv"))
study.similarity_map(spectrogram[["x", "y"]].to_numpy(), spectrogram["kind"]);

# %% [markdown]
# ## How such a map is made
#
# First the vectors themselves, as the decoder receives them: one row for each training picture, and
# one for the spectrogram of each song.

# %%
import numpy as np

from songtitle.experiment.similarity import received

vectors = received(
    config, learning.training(config), inputs.picture_features(config),
    inputs.song_features(config),
)
pictures, songs = vectors["pictures"], vectors["spectrogram"]  # (pictures, dim), (songs, dim)
print(f"pictures {pictures.shape}, songs {songs.shape}")

# %% [markdown]
# t-SNE gives each vector a place in the plane and moves the places until near vectors lie near each
# other. How far it got is measured by {term}`trustworthiness`: are the ten nearest of each point on
# the map also near in the full space? Some of either kind will do here, as on each of the small
# maps below.

# %%
from sklearn.manifold import TSNE, trustworthiness

half = map_items // 2
some = np.concatenate([pictures[:half], songs[:half]])  # (items, dim)
tsne = TSNE(
    perplexity=min(30, (len(some) - 1) / 3),  # about how many neighbours each point tries to keep
    init="pca",  # where the points lie before they move: the plane in which they vary most
    learning_rate="auto",  # how far they move at a time
    angle=0.3,  # how coarsely far points may be lumped together; 0 would be not at all
    random_state=seed,
)
points = tsne.fit_transform(some)  # (items, 2), without a unit
trust = trustworthiness(some, points, n_neighbors=min(10, (len(some) - 1) // 2))
print(f"{len(points)} points, trustworthiness {trust:.3f}")

# %% [markdown]
# The library makes the small maps by the same call. Where each single point comes to lie depends on
# the last digits of long sums, and those on the processor; how far the map can be trusted does not.

# %%
at = {"reading": "spectrogram", "perplexity": 30, "start": "principal components"}
(same,) = [row for row in grid.result["maps"] if at.items() <= row.items()]
assert abs(trust - same["trustworthiness"]) < 0.05  # the panel on the left of the middle row

# %% [markdown]
# ## The same vectors, nine maps
#
# A t-SNE map has two settings that the paper does not state. **Perplexity** is roughly how many
# neighbours each point tries to keep; the **start** is where the points lie before they move.
# Below, the very same vectors: a row for each perplexity, a column for each start. Compare the
# panels of one figure. What is in all nine of them belongs to the data; what comes and goes
# belongs to the map. Below each panel stand its {term}`trustworthiness` (1: every neighbour on
# the map is a neighbour in the full space {cite:p}`venna2001`) and how far songs *mix* with
# pictures on it (1: like a random mixture).

# %% mystnb={"figure": {"caption": "Pictures and standardised timbre: one set of vectors, three perplexities, three starts.", "name": "fig-maps-timbre"}, "image": {"alt": "Nine small t-SNE maps of the same picture and timbre vectors in three rows of perplexity and three columns of starts, with trustworthiness and mixing written below each map."}} tags=["hide-input"]
study.map_grid(study.maps_of(grid, "timbre_standardised"));

# %% mystnb={"figure": {"caption": "Pictures and spectrograms: one set of vectors, three perplexities, three starts.", "name": "fig-maps-spectrogram"}, "image": {"alt": "Nine small t-SNE maps of the same picture and spectrogram vectors in three rows of perplexity and three columns of starts, with trustworthiness and mixing written below each map."}} tags=["hide-input"]
study.map_grid(study.maps_of(grid, "spectrogram"));

# %% [markdown]
# The paper says nothing of scaling timbre. Left as they are, its numbers are far larger than those
# of pictures, which reach the decoder at unit scale; the table holds the nine maps of that, too.

# %% tags=["hide-input"]
tables.Table(
    study.map_trust(grid),
    name="tab-maps",
    caption="Trustworthiness, and mixing of songs into pictures, over three starts of each map.",
    note=f"{grid.result['items']} points a map. Mixing by Euclidean distance, here and there.",
)

# %% [markdown]
# ## Four questions instead of one
#
# A map keeps neighbourhoods; it was never made to keep containment. Ask the full space instead, and
# ask one thing at a time:
#
# - **Mixing**: of the nearest neighbours of a song, how many are pictures, compared with a random
#   mixture? 1 is a mixture, 0 is apart.
# - **Classifier**: fit a plane between songs and pictures, and judge it on items that it has not
#   seen. {term}`AUC` is how often it puts a song on the right side of a picture: 0.5 is guessing,
#   1 is every time {cite:p}`lopezpaz2017`.
# - {term}`MMD`: how far apart are the two densities? 0 on average for one population
#   {cite:p}`gretton2012`; *p*, here and elsewhere, is the share of shuffles that give as much, in
#   which each {term}`series` keeps one label.
# - **Inside**: how many songs are as near to a picture as 95 % of pictures are to each other? And
#   the other way round, how many pictures are as near to a song as songs are to each other? After
#   {cite:t}`kynkaanniemi2019`.
#
# *Fully contained* would be: inside near 95 %, whatever the other numbers. *The same population*
# would be more: mixing 1, AUC 0.5, both directions near 95 %. Held-out pictures show how good a
# good mixture is. Noise shows how little a good number may mean.

# %% [markdown]
# Two of the four can be counted in a few lines. **Mixing**, for spectrograms: pool pictures and
# songs, find the ten nearest neighbours of each by the angle between vectors (cosine), and count
# how many neighbours of songs are pictures. If labels said nothing, the share of pictures among all
# the others would be expected.

# %%
from sklearn.neighbors import NearestNeighbors

both = np.concatenate([pictures, songs])  # (items, dim), pictures first
index = NearestNeighbors(n_neighbors=10, metric="cosine").fit(both)
neighbours = index.kneighbors(return_distance=False)  # (items, 10), none of them itself
share = (neighbours[len(pictures) :] < len(pictures)).mean()  # of the songs' neighbours
expected = len(pictures) / (len(both) - 1)
mixing = share / expected
assert abs(mixing - record.result["mixing"]["spectrogram"]) < 0.02  # the table's; ties may differ
print(f"pictures among the neighbours of songs: {share:.3f}, by chance {expected:.3f}")
print(f"mixing: {mixing:.3f}")

# %% [markdown]
# **Inside**: how far from the fifth nearest picture do pictures lie themselves? Nineteen of twenty
# lie within a certain distance, the `radius`. A song is inside if its fifth nearest picture is
# within it.

# %%
near = NearestNeighbors(n_neighbors=min(5, len(pictures) - 1, len(songs) - 1)).fit(pictures)
own = np.sort(near.kneighbors()[0][:, -1])  # (pictures,): to the fifth nearest *other* picture
rank = min(len(own), int(np.ceil(0.95 * (len(own) + 1))))  # 95 % of new ones
radius = own[rank - 1]
of_songs = near.kneighbors(songs)[0][:, -1]  # (songs,)
inside = (of_songs <= radius).mean()
of_library = likeness.result["kinds"]["spectrogram"]["inside"]["value"]
assert abs(inside - of_library) < 1.5 / len(songs)  # a song on the border may fall to either side
print(f"inside: {inside:.3f} of the songs, {(own <= radius).mean():.3f} of the pictures")

# %% mystnb={"figure": {"caption": "Each kind beside the training pictures, with 95 % intervals; dashed, what one population would give.", "name": "fig-likeness"}, "image": {"alt": "Four panels of dots with interval bars: mixing, classifier AUC, share inside the pictures and share of pictures inside, a line each for held-out pictures, three readings of songs and two kinds of noise, and a dashed line where one population would lie."}} tags=["hide-input"]
study.numbers_by_kind(study.apart_values(likeness));

# %% tags=["hide-input"]
tables.Table(
    study.apart(likeness),
    name="tab-mixing",
    caption=f"Each kind beside {likeness.result['pictures']} training pictures, in the full space.",
    note="In brackets: 95 % intervals. Noise shaped like pictures has the mean and covariance of "
    "these very pictures: what a plane learns of some of them misleads it on the others, so its "
    "AUC may lie below 0.5.",
)

# %% tags=["hide-input"]
study.containment_note(likeness)

# %% [markdown]
# ## What it means
#
# The numbers need not agree, because they ask different things. A small tight cloud in the middle
# of a wide one is *inside* it, and yet no two of its neighbours are mixed and a plane may part them
# without an error: in hundreds of dimensions the middle of a cloud is near everything, though
# hardly anything is there. Look at the two kinds of noise: they carry nothing about any song, and
# where one of them comes nearer to pictures than songs do, coming near proves nothing. So likeness
# is necessary for the paper's argument, not enough for it: what the decoder makes of a vector that
# lies among pictures is asked by {doc}`the titles <05_titles>` and by the controls of
# {doc}`09_controls`, where noise is fed to the decoder in the place of songs; not by a map.

# %% [markdown]
# ## Exercises
#
# ```{exercise} Which map would you print?
# :label: ex-06-1
#
# Cover the table. From the nine maps of each reading alone, guess mixing and AUC. Which of the nine
# would you print to argue that songs are contained, and which to argue against it?
# ```
#
# ```{solution} ex-06-1
# :label: sol-06-1
# :class: dropdown
#
# Whatever you guessed, compare it with {numref}`tab-mixing`. If you could choose two maps that argue
# for opposite things, then a map is no argument: it was the choice that decided. Only what stands in
# all nine of them belongs to the data, and even that may be lost from hundreds of dimensions to two.
# ```
#
# ```{exercise} Inside from above, apart from the side
# :label: ex-06-2
#
# Draw `wide`, three hundred points in three dimensions, and `tight`, a smaller cloud: inside `wide` as
# seen from above (without the third dimension), and apart from it in truth. `similarity.contained`
# gives the share of its second argument that lies in its first (`.value`).
# ```
#
# ```{solution-start} ex-06-2
# :label: sol-06-2
# :class: dropdown
# ```
#
# A map that drops the one direction in which two clouds differ shows one inside the other.

# %% tags=["solution"]
import numpy as np

from songtitle.metrics import clouds

generator = np.random.default_rng(0)
wide = generator.normal(size=(300, 3))
tight = 0.2 * generator.normal(size=(300, 3)) + [0, 0, 8]
seen = clouds.contained(wide[:, :2], tight[:, :2]).value
true = clouds.contained(wide, tight).value
print(f"from above {seen:.2f}, in three dimensions {true:.2f}")

# %% [markdown]
# ```{solution-end}
# ```

# %% tags=["check", "remove-cell"]
assert wide.shape == (300, 3) and tight.shape[1] == 3

# %% tags=["hidden-check", "remove-cell"]
assert clouds.contained(wide[:, :2], tight[:, :2]).value > 0.9
assert clouds.contained(wide, tight).value < 0.1

# %% [markdown]
# ```{exercise} Large and small
# :label: ex-06-3
#
# Raw timbre is far larger than the numbers of pictures. Why would you then expect every picture to lie
# inside raw timbre, and no song inside the pictures, whatever the songs are? Try
# `similarity.contained` on one cloud and the same cloud times one hundred.
# ```
#
# ```{solution} ex-06-3
# :label: sol-06-3
# :class: dropdown
#
# Inside means: as near to the other kind as that kind's items are to each other. Items of a huge cloud
# are far from each other, so near means up to very far, and a small cloud near its middle is inside
# as a whole. Items of the small cloud are close together, so hardly anything of the huge one is near
# enough. The measure says so in both directions; it knows nothing of songs.
# ```

# %% tags=["remove-cell"]
for name, value in (tables.facts(record) | tables.facts(likeness)).items():
    glue(name, value, display=False)
