"""Every figure of the book: a function takes numbers and an axis, and returns the axis.

What a function draws it also hands on (`hand_on`): the frame, for the table under the figure, and
the finding in a sentence, for its alt text. Nothing here computes a result or changes what it is
given. Colours are told apart by colour-blind readers, and markers and line styles by those who
print in grey.
"""

from songtitle.plots.corpora import link_survival, title_funnel, two_orders
from songtitle.plots.diagrams import Box, draw_captioner, draw_pipeline, draw_two_steps
from songtitle.plots.faults import fault_dots
from songtitle.plots.findings import alt_of, csv_of, data_of, hand_on
from songtitle.plots.forensics import distance_map, prefix_curves
from songtitle.plots.labs import before_and_after
from songtitle.plots.likeness import map_grid, numbers_by_kind
from songtitle.plots.numbers import (
    bleu_by_beam,
    bleu_by_references,
    bleu_per_second,
    length_distribution,
    perplexity_by_epoch,
    seconds_by_beam,
    similarity_map,
)
from songtitle.plots.pictures import (
    mark_span,
    settings_panels,
    show_picture,
    show_spectrogram,
    show_tiles,
    timbre_bars,
)
from songtitle.plots.samples import gains_by_seed
from songtitle.plots.speed import growth_lines, ratio_bars
from songtitle.plots.style import use_house_style
from songtitle.plots.switchboard import tornado, tornado_legend
from songtitle.plots.trees import beam_tree
from songtitle.plots.truth import control_forest, score_and_length, score_by_prefix
from songtitle.plots.verdicts import verdict_bars

__all__ = [
    "Box",
    "alt_of",
    "beam_tree",
    "before_and_after",
    "bleu_by_beam",
    "bleu_by_references",
    "bleu_per_second",
    "control_forest",
    "csv_of",
    "data_of",
    "distance_map",
    "draw_captioner",
    "draw_pipeline",
    "draw_two_steps",
    "fault_dots",
    "gains_by_seed",
    "growth_lines",
    "hand_on",
    "length_distribution",
    "link_survival",
    "map_grid",
    "mark_span",
    "numbers_by_kind",
    "perplexity_by_epoch",
    "prefix_curves",
    "ratio_bars",
    "score_and_length",
    "score_by_prefix",
    "seconds_by_beam",
    "settings_panels",
    "show_picture",
    "show_spectrogram",
    "show_tiles",
    "similarity_map",
    "timbre_bars",
    "title_funnel",
    "tornado",
    "tornado_legend",
    "two_orders",
    "use_house_style",
    "verdict_bars",
]
