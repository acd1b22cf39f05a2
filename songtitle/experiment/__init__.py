"""The experiment: where data, model, training, search and metrics meet, stage by stage.

Each function gives the record of one stage and sees to the stages before it, in this order:
`corpora`, `vocabulary`, `clips`, `picture_features`, `tile_features`, `song_features`, `training`,
`hypotheses`, `scores`. Then `comparison` (other encoders and decoders), and `similarity`,
`likeness` and `map_grid` (songs among pictures). `gallery_songs` and `branches` are what the
gallery shows. Whether any of it is more than chance, `songtitle.evidence` asks.
"""

from songtitle.cache import published
from songtitle.experiment.comparing import comparison
from songtitle.experiment.corpora import CAPTIONS, COLLECTIONS, clips, corpora, vocabulary
from songtitle.experiment.gallery import branches, gallery_songs
from songtitle.experiment.inputs import (
    clip_picture,
    crop_of,
    example_picture,
    hear,
    picture_features,
    song_features,
    tile_features,
)
from songtitle.experiment.learning import training
from songtitle.experiment.maps import likeness, map_grid, similarity
from songtitle.experiment.naming import SONG_INPUTS, hypotheses, name_songs
from songtitle.experiment.scoring import score_table, scores

__all__ = [
    "CAPTIONS",
    "COLLECTIONS",
    "SONG_INPUTS",
    "branches",
    "clip_picture",
    "clips",
    "comparison",
    "corpora",
    "crop_of",
    "example_picture",
    "gallery_songs",
    "hear",
    "hypotheses",
    "likeness",
    "map_grid",
    "name_songs",
    "picture_features",
    "published",
    "score_table",
    "scores",
    "similarity",
    "song_features",
    "tile_features",
    "training",
    "vocabulary",
]
