"""Every figure of the book: a function takes numbers and an axis, and returns the axis.

Nothing here computes a result or changes what it is given. Colours are told apart by
colour-blind readers, and markers and line styles by those who print in grey.
"""

from songtitle.plots.corpora import link_survival, title_funnel, two_orders
from songtitle.plots.diagrams import Box, draw_captioner, draw_pipeline, draw_two_steps
from songtitle.plots.numbers import (
    bleu_by_beam,
    bleu_per_second,
    length_distribution,
    perplexity_by_epoch,
    seconds_by_beam,
    similarity_map,
)
from songtitle.plots.pictures import (
    mark_span,
    show_picture,
    show_spectrogram,
    show_tiles,
    timbre_bars,
)
from songtitle.plots.speed import growth_lines, ratio_bars
from songtitle.plots.style import use_house_style

__all__ = [
    "Box",
    "bleu_by_beam",
    "bleu_per_second",
    "draw_captioner",
    "draw_pipeline",
    "draw_two_steps",
    "growth_lines",
    "length_distribution",
    "link_survival",
    "mark_span",
    "perplexity_by_epoch",
    "ratio_bars",
    "seconds_by_beam",
    "show_picture",
    "show_spectrogram",
    "show_tiles",
    "similarity_map",
    "timbre_bars",
    "title_funnel",
    "two_orders",
    "use_house_style",
]
