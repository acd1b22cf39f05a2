"""Figures of the book: a light and a dark one, and under each its numbers, its code, its record.

An executed notebook holds the light SVG, its numbers (`text/csv`) and, as alt text of the cell, a
static sentence and what was found. The build makes the rest from these.
"""

import json
from collections.abc import Iterator, MutableMapping
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util import logging

from songtitle.errors import InputError
from songtitle.pages.dark import dark

ALT, CSV = "application/vnd.songtitle.alt", "text/csv"  # as `figures.inline` writes them
PICTURES = ("image/svg+xml", "image/png", "image/jpeg")
RECORD = "provenance"  # the anchor of what a page says of its run

logger = logging.getLogger(__name__)


def setup(app: Sphinx) -> None:
    """Before Sphinx collects images and downloads, so that the new ones are among them."""
    app.connect("doctree-read", complete, priority=100)
    app.add_post_transform(OnlyLight)


def describe(cell: MutableMapping[str, Any]) -> None:
    """Move what the outputs of an executed cell say of its figure into the cell's alt text.

    The cell's own alt text, what kind of figure it is, comes first. Raises `InputError` for a
    figure of the book without a word about what it found.
    """
    outputs = [each["data"] for each in cell.get("outputs", []) if "data" in each]
    found = ["".join(data.pop(ALT)) for data in outputs if ALT in data]
    about = cell["metadata"].get("mystnb", {})
    if (
        "figure" in about
        and not found
        and any(kind in data for data in outputs for kind in PICTURES)
    ):
        msg = (
            f"{about['figure'].get('name', 'figure')}: expected a figure that says what it shows, "
        )
        msg += "got a bare picture; call use_house_style() before it is drawn, and "
        msg += "figures.findings.hand_on(ax, frame, finding) for each axis drawn by hand"
        raise InputError(msg)
    if "figure" in about and found:
        image = about.setdefault("image", {})
        image["alt"] = " ".join([image.get("alt", ""), *found]).strip()


def complete(app: Sphinx, document: nodes.document) -> None:
    """Give each drawn figure of a notebook's page its dark twin and its line of links."""
    page = Path(app.env.doc2path(app.env.docname))
    if page.suffix != ".ipynb":
        return
    cells = json.loads(page.read_text("utf-8"))["cells"]
    for number, node in _code_cells(document):
        anchor = f"cell-{number}"
        if anchor not in document.ids:
            node["ids"].append(anchor)
        drawings = [each for each in node.findall(nodes.image) if each["uri"].endswith(".svg")]
        numbers = _numbers(cells[number])
        for image in drawings:
            _pair(app, image)
        if not drawings:
            continue
        name = _name(cells[number]) or f"{page.stem}-{anchor}"
        if not numbers:
            msg = f"{name}: a figure without its numbers; run `python -m songtitle run {page.stem}`"
            logger.warning(msg, location=node)
            continue
        target = _write(app, drawings[0], f"{name}.csv", numbers)
        last = drawings[-1]
        while last.parent is not None and not isinstance(last.parent, nodes.figure):
            if last.parent is node:
                break
            last = last.parent
        shown = last.parent if isinstance(last.parent, nodes.figure) else last
        assert shown.parent is not None
        place = shown.parent.index(shown) + 1
        shown.parent.insert(place, _links(target, anchor))


def _code_cells(document: nodes.document) -> Iterator[tuple[int, nodes.Element]]:
    for node in document.findall(nodes.container):
        if node.get("nb_element") == "cell_code":
            yield int(node["cell_index"]), node


def _name(cell: dict[str, Any]) -> str:
    return str(cell["metadata"].get("mystnb", {}).get("figure", {}).get("name", ""))


def _numbers(cell: dict[str, Any]) -> str:
    found = (each.get("data", {}).get(CSV) for each in cell.get("outputs", []))
    return "\n".join("".join(text) for text in found if text)


def _pair(app: Sphinx, image: nodes.image) -> None:
    """Both versions in one box: the theme hides whatever follows the version that is not shown."""
    light = _file(app, image["uri"])
    twin = light.with_name(f"{light.stem}-dark.svg")
    _write_text(twin, dark(light.read_text("utf-8")))
    second = image.deepcopy()
    second["uri"] = image["uri"].replace(light.name, twin.name)
    second["loading"] = "lazy"  # most readers never see it
    second["classes"] = [*image["classes"], "only-dark"]
    image["classes"] = [*image["classes"], "only-light"]
    both = nodes.container(classes=["figure-pair"])
    image.parent.replace(image, both)  # `replace_self` would hand the image's classes on
    both += [image, second]


def _write(app: Sphinx, image: nodes.image, name: str, text: str) -> str:
    """Write a file beside a picture; gives the address that Sphinx knows it by."""
    light = _file(app, image["uri"])
    folder = Path(app.env.docname).name
    _write_text(light.parent / folder / name, text)
    return str(image["uri"]).replace(light.name, f"{folder}/{name}")


def _file(app: Sphinx, uri: str) -> Path:
    return Path(app.env.relfn2path(uri, app.env.docname)[1])


def _write_text(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8", newline="\n")


def _links(target: str, anchor: str) -> nodes.paragraph:
    numbers = addnodes.download_reference("", "", reftarget=target, refdoc="", classes=["csv"])
    numbers += nodes.inline("", "Numbers (CSV)")
    return nodes.paragraph(
        "",
        "",
        numbers,
        nodes.Text(" · "),
        nodes.reference("", "code", internal=True, refid=anchor),
        nodes.Text(" · "),
        nodes.reference("", "record", internal=True, refid=RECORD),
        classes=["figure-links"],
    )


class OnlyLight(SphinxPostTransform):
    """What is printed has one version of each figure, and no links to files beside it."""

    default_priority = 5

    def run(self, **kwargs: Any) -> None:
        """Also drops the link to a record where the page has none."""
        html = self.app.builder.format == "html"
        for node in list(self.document.findall(nodes.paragraph)):
            if "figure-links" in node["classes"] and not html:
                node.parent.remove(node)
        for node in list(self.document.findall(nodes.container)):
            if "figure-pair" in node["classes"] and not html:
                node.replace_self(node.children[0])
