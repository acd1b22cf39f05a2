"""The directive `{songs} n`: the first n songs of the gallery, sound and all, on another page."""

import json
import re
from pathlib import Path
from typing import Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.errors import ExtensionError
from sphinx.util.docutils import SphinxDirective

PAGE = "notebooks/15_gallery.ipynb"
COMMAND = "python -m songtitle run"
_ARTICLE = re.compile(r'<article class="song".*?</article>', re.DOTALL)


def setup(app: Any) -> None:
    """Offer the directive."""
    app.add_directive("songs", Songs)


class Songs(SphinxDirective):
    """The first songs of the gallery: ```` ```{songs} 3 ````."""

    required_arguments = 1
    option_spec: ClassVar[dict[str, Any]] = {}

    def run(self) -> list[nodes.Node]:
        """The articles as they stand in the executed gallery page."""
        count = directives.positive_int(self.arguments[0])
        path = Path(self.env.srcdir) / PAGE
        self.env.note_dependency(str(path))
        html = "".join(first_songs(path, count))
        return [nodes.raw("", f'<div class="gallery">{html}</div>', format="html")]


def first_songs(path: Path, count: int) -> list[str]:
    """The first `count` articles of an executed gallery notebook.

    Raises ExtensionError, which stops the build and says what to run, where there are fewer.
    """
    found = articles(json.loads(path.read_text("utf-8"))) if path.is_file() else []
    if len(found) < count:
        came = f"{len(found)} songs" if path.is_file() else "no such page"
        msg = f"songs: expected {count} songs in {PAGE}, got {came}; make it: `{COMMAND}`"
        raise ExtensionError(msg)
    return found[:count]


def articles(notebook: dict[str, Any]) -> list[str]:
    """All songs shown by the cells of a notebook, in order."""
    outputs = [output for cell in notebook["cells"] for output in cell.get("outputs", [])]
    shown = ["".join(output.get("data", {}).get("text/html", "")) for output in outputs]
    return [article for html in shown for article in _ARTICLE.findall(html)]
