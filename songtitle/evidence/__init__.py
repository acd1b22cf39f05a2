"""The evidence: does the model hear anything, or would chance score the same?

Each function gives the record of one stage that asks the experiment again under another condition:
`controls`, `self_retrieval`, `differences`, `blind_training` and `replicates` (is it more than
chance?), `lengths`, `content_free` and `readings` (which BLEU?), `switch` and `switchboard` (what
the paper leaves open), `lab` (what a mistake would do) and `samples` (real photos and songs).
"""

from songtitle.evidence.contrasts import differences
from songtitle.evidence.controlled import controls, self_retrieval
from songtitle.evidence.forensics import content_free, readings
from songtitle.evidence.labs import LABS, lab
from songtitle.evidence.length_effects import lengths
from songtitle.evidence.retraining import blind_training, replicates
from songtitle.evidence.samples import samples
from songtitle.evidence.switches import switch
from songtitle.evidence.switching import switchboard

__all__ = [
    "LABS",
    "blind_training",
    "content_free",
    "controls",
    "differences",
    "lab",
    "lengths",
    "readings",
    "replicates",
    "samples",
    "self_retrieval",
    "switch",
    "switchboard",
]
