"""The experiment: where data, model, training, search and metrics meet, stage by stage.

Each function gives the record of one stage and sees to the stages before it, in this order:
`corpora`, `vocabulary`, `clips`, `picture_features`, `tile_features`, `song_features`, `training`,
`hypotheses`, `scores`. Then the questions: `comparison` (other encoders and decoders),
`similarity`, `likeness` and `map_grid` (songs among pictures), `controls`, `self_retrieval`,
`differences`, `blind_training` and `replicates` (is it more than chance?), `lengths`,
`content_free` and `readings` (which BLEU?), `switchboard` (what was left open) and `samples` (real
photos and songs). `gallery_songs` and `branches` are what the gallery shows. Beside them, `census`
counts what is here of the paper's own corpora.
"""

from songtitle.experiment.comparing import comparison
from songtitle.experiment.contrasts import differences
from songtitle.experiment.controlled import controls, self_retrieval
from songtitle.experiment.corpora import CAPTIONS, COLLECTIONS, clips, corpora, vocabulary
from songtitle.experiment.forensics import content_free, readings
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
from songtitle.experiment.labs import LABS, lab
from songtitle.experiment.learning import training
from songtitle.experiment.length_effects import lengths
from songtitle.experiment.maps import likeness, map_grid, similarity
from songtitle.experiment.naming import SONG_INPUTS, hypotheses, name_songs, score_table, scores
from songtitle.experiment.published import published
from songtitle.experiment.questions import census
from songtitle.experiment.retraining import blind_training, replicates
from songtitle.experiment.samples import samples
from songtitle.experiment.switches import switch
from songtitle.experiment.switching import switchboard

__all__ = [
    "CAPTIONS",
    "COLLECTIONS",
    "LABS",
    "SONG_INPUTS",
    "blind_training",
    "branches",
    "census",
    "clip_picture",
    "clips",
    "comparison",
    "content_free",
    "controls",
    "corpora",
    "crop_of",
    "differences",
    "example_picture",
    "gallery_songs",
    "hear",
    "hypotheses",
    "lab",
    "lengths",
    "likeness",
    "map_grid",
    "name_songs",
    "picture_features",
    "published",
    "readings",
    "replicates",
    "samples",
    "score_table",
    "scores",
    "self_retrieval",
    "similarity",
    "song_features",
    "switch",
    "switchboard",
    "tile_features",
    "training",
    "vocabulary",
]
