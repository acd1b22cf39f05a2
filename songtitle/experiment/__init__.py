"""The experiment: where data, model, training, search and metrics meet, stage by stage.

Each function gives the record of one stage and sees to the stages before it:
`corpora`, `clips`, `picture_features`, `song_features`, `training`, `hypotheses`, `scores`,
`similarity`.
"""

from songtitle.experiment.corpora import CAPTIONS, COLLECTIONS, clips, corpora
from songtitle.experiment.inputs import (
    clip_picture,
    clip_timbre,
    crop_of,
    example_picture,
    picture_features,
    song_features,
)
from songtitle.experiment.learning import training
from songtitle.experiment.maps import similarity
from songtitle.experiment.naming import SONG_INPUTS, hypotheses, name_songs, score_table, scores

__all__ = [
    "CAPTIONS",
    "COLLECTIONS",
    "SONG_INPUTS",
    "clip_picture",
    "clip_timbre",
    "clips",
    "corpora",
    "crop_of",
    "example_picture",
    "hypotheses",
    "name_songs",
    "picture_features",
    "score_table",
    "scores",
    "similarity",
    "song_features",
    "training",
]
