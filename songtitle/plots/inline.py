"""What a notebook keeps of a figure: the same SVG each time, its numbers, and it in words."""

from typing import Any

from matplotlib.figure import Figure

from songtitle.errors import InputError
from songtitle.plots.findings import alt_of, csv_of
from songtitle.plots.svg import PRINT, svg_of

ALT = "application/vnd.songtitle.alt"  # travels beside the picture in a notebook's output
CSV = "text/csv"


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
    display.mimebundle_formatter.for_type(Figure, _beside)


def _beside(figure: Figure) -> dict[str, str]:
    """Numbers and words; of a reader's own figure, which hands nothing on, neither."""
    try:
        return {CSV: csv_of(figure), ALT: alt_of(figure)}
    except InputError:
        return {}
