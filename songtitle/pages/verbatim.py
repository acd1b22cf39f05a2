"""Outputs of code stay as they are: quotes and dashes of data are not made prettier."""

from typing import Any

from docutils import nodes
from sphinx.transforms import SphinxTransform

OUTPUTS = {"cell_output", "pasted-text", "pasted-inline"}  # MyST-NB's classes


class Verbatim(SphinxTransform):
    """Keep Sphinx's typographic quotes out of the outputs of cells and of what is glued."""

    default_priority = 740  # they come at 750

    def apply(self, **_: Any) -> None:
        """Mark the nodes; `sphinx.util.nodes.is_smartquotable` looks for the mark."""
        for node in self.document.findall(nodes.Element):
            if OUTPUTS & set(node.get("classes", [])):
                node["support_smartquotes"] = False


def setup(app: Any) -> None:
    """Register the transform."""
    app.add_transform(Verbatim)
