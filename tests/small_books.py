"""Notebooks and small books, made for a test and built by Sphinx with the house's own settings."""

import io
from pathlib import Path

import nbformat
import yaml
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from sphinx.application import Sphinx
from sphinx.util.docutils import docutils_namespace, patch_docutils

ROOT = Path(__file__).parent.parent
SETTINGS = yaml.safe_load((ROOT / "_config.yml").read_text("utf-8"))


def written(path, *cells, parameters='preset = "tiny"'):
    """A notebook to be run: a cell of parameters, then cells of these sources; its path."""
    tagged = new_code_cell(parameters, metadata={"tags": ["parameters"]})
    content = new_notebook(cells=[tagged, *map(new_code_cell, cells)])
    content.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
    nbformat.write(content, path)
    return path


def executed(*outputs, **metadata):
    """A notebook whose cells have shown this: MyST, or the data of an output."""
    content = new_notebook(cells=[new_markdown_cell("# Page")])
    for shown in outputs:
        data = {"text/markdown": shown} if isinstance(shown, str) else shown
        content.cells.append(
            new_code_cell("show()", outputs=[new_output("display_data", data)], metadata=metadata)
        )
    content.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
    content.metadata["language_info"] = {"name": "python", "pygments_lexer": "python"}
    return content


def build(folder, *, builder="html", draft=True, **settings):
    """What a builder makes of the sources in `folder`, and what Sphinx warned of."""
    warned, out = io.StringIO(), folder / f"_build_{builder}"
    house = SETTINGS["sphinx"]["config"]
    settings = {
        **{name: house[name] for name in house if name.startswith(("nb_", "suppress"))},
        "extensions": ["myst_nb", "songtitle.book.extension"],
        "root_doc": "index",
        "exclude_patterns": ["_build*"],
        "nb_execution_mode": "off",
        "myst_enable_extensions": SETTINGS["parse"]["myst_enable_extensions"],
        "songtitle_draft": draft,
        "html_copy_source": True,
        "html_sourcelink_suffix": "",
        **settings,
    }
    places = [folder, None, out, folder / "_build_trees"]
    with patch_docutils(str(folder)), docutils_namespace():
        app = Sphinx(*places, builder, settings, status=None, warning=warned, freshenv=True)
        app.build()
    return out, warned.getvalue()
