"""What a notebook keeps of a figure: the same SVG each time, its numbers, and it in words."""

from collections.abc import Callable
from typing import Any

from matplotlib.figure import Figure
from traitlets import ObjectName, Unicode

from songtitle.plots.alt import ALT, CSV, alt_of
from songtitle.plots.data import csv_of
from songtitle.plots.svg import PRINT, svg_of


def keep_in_notebooks() -> None:
    """Have a notebook show figures as SVG, with CSV and alt text beside them; else nothing."""
    from IPython.core.getipython import get_ipython  # a script need not pay for it

    shell: Any = get_ipython()
    if shell is None or not hasattr(shell, "kernel"):
        return
    # Imported first: on import it sets formats of its own.
    import matplotlib_inline.backend_inline  # noqa: F401
    from matplotlib_inline.config import InlineBackend

    backend = InlineBackend.instance(parent=shell)
    backend.shell = shell
    # Both are traits: a later activation of the backend reads them, too.
    backend.print_figure_kwargs = dict(PRINT)
    backend.figure_formats = {"svg"}
    backend._update_figure_formatters()  # also where both were set already
    shell.display_formatter.formatters["image/svg+xml"].for_type(Figure, svg_of)
    add_formatters(shell.display_formatter)


def add_formatters(display: Any) -> None:
    """Give an IPython display formatter a figure's CSV and alt text."""
    for mime, text_of in ((CSV, csv_of), (ALT, alt_of)):
        display.formatters[mime] = _formatter(mime, text_of, display)


def _formatter(mime: str, text_of: Callable[[Figure], str], display: Any) -> Any:
    from IPython.core.formatters import BaseFormatter

    class Words(BaseFormatter):
        format_type = Unicode(mime)
        print_method = ObjectName("_repr_no_such_thing_")  # the default is `repr`, of any object

    formatter = Words(parent=display)
    formatter.for_type(Figure, text_of)
    return formatter
