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
    """Set up each part of the extension that is there."""
    for part in PARTS:
        if find_spec(f"{__name__}.{part}"):
            import_module(f"{__name__}.{part}").setup(app)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
