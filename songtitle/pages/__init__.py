"""The book's own Sphinx extension: where pages come from, what words mean, where files lie.

Listed as `songtitle.pages` in `_config.yml`. Importing it brings neither torch nor matplotlib.
"""

from importlib import import_module
from importlib.util import find_spec
from typing import Any

PARTS = (
    *("provenance", "glossary", "verbatim", "repository", "api"),
    *("figures", "songs", "numbering", "accessible"),
)


def setup(app: Any) -> dict[str, Any]:
    """Set up each part of the extension that is there.

    The book's sources lie in `book/`, also when it is built from the clone's root, where the copies
    of `_config.yml` and `_toc.yml` name them as seen from there.
    """
    if (app.srcdir / "book" / "_toc.yml").is_file():
        app.srcdir = app.confdir = app.srcdir / "book"
        app.connect("config-inited", _add_static)
    for part in PARTS:
        if find_spec(f"{__name__}.{part}"):
            import_module(f"{__name__}.{part}").setup(app)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}


def _add_static(app: Any, config: Any) -> None:
    # What Jupyter Book does with a `_static` that it finds beside `_config.yml`.
    static = app.srcdir / "_static"
    config.html_static_path.append(static.name)
    config.html_css_files += [path.relative_to(static).as_posix() for path in static.rglob("*.css")]
    config.html_js_files += [path.relative_to(static).as_posix() for path in static.rglob("*.js")]
