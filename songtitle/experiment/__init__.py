"""The experiment: where data, model, training, search and metrics meet, stage by stage.

Each function gives the record of one stage and sees to the stages before it, in this order:
`corpora`, `vocabulary`, `clips`, `picture_features`, `tile_features`, `song_features`, `training`,
`hypotheses`, `scores`, `similarity`. `comparison` trains other encoders and decoders alike. Beside
them, `census` counts what is here of the paper's own corpora.
"""

from songtitle.experiment.comparing import comparison
from songtitle.experiment.corpora import CAPTIONS, COLLECTIONS, clips, corpora, vocabulary
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
from songtitle.experiment.maps import similarity
from songtitle.experiment.naming import SONG_INPUTS, hypotheses, name_songs, score_table, scores
from songtitle.experiment.published import published
from songtitle.experiment.questions import census

__all__ = [
    "CAPTIONS",
    "COLLECTIONS",
    "SONG_INPUTS",
    "census",
    "clip_picture",
    "clips",
    "comparison",
    "corpora",
    "crop_of",
    "example_picture",
    "hear",
    "hypotheses",
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
