"""The page that names songs in the reader's browser: its model and examples, from a trained run."""

from songtitle.demo.export import write
from songtitle.demo.graphs import picture_graph, word_graph
from songtitle.demo.twin import Twin

__all__ = ["Twin", "picture_graph", "word_graph", "write"]
