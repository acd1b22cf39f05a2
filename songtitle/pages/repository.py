"""Buttons that lead to the project: none until `repository.url` is set, then each to a real file.

The book shows executed notebooks; what a reader edits or launches is their source in `notebooks/`:
the `.py` to edit, the `.ipynb` beside it for Binder and Colab.
"""

from pathlib import Path
from typing import Any

from sphinx.errors import ConfigError

ROOT = Path(__file__).parents[2]
BUTTONS = ("use_repository_button", "use_issues_button", "use_edit_page_button")
LAUNCH = {"binderhub_url": "https://mybinder.org", "colab_url": "https://colab.research.google.com"}


def setup(app: Any) -> None:
    """Decide on the buttons when the settings are read; aim them when a page is written."""
    app.connect("config-inited", _decide)
    app.connect("html-page-context", _aim, priority=600)  # after the theme's, at 501


def edited(name: str, suffix: str) -> str:
    """The file to edit for a page, from the root of the checkout: for a notebook, its source."""
    folder, _, stem = name.rpartition("/")
    if folder == "notebooks":
        return f"notebooks/{stem}.py"
    return f"book/{name}{suffix}"


def launched(name: str) -> str:
    """The notebook to launch for a page, from the root of the checkout."""
    return f"{name}.ipynb"


def _decide(app: Any, config: Any) -> None:
    if config.html_theme != "sphinx_book_theme":  # its buttons are what this is about
        return
    options = config.html_theme_options
    url = options.get("repository_url", "").strip().rstrip("/")
    options["repository_url"] = url
    options.update(dict.fromkeys(BUTTONS, bool(url)))
    options.setdefault("repository_branch", "main")
    if url and (not url.startswith("https://") or len(url.split("/")) < 5):
        msg = f"repository.url: expected https://HOST/NAME/PROJECT, got {url!r}; mend _config.yml"
        raise ConfigError(msg)
    launch = {"notebook_interface": "jupyterlab"} | (options.get("launch_buttons") or {})
    if url:
        github = "github" in url.split("/")[2]
        launch |= {name: to for name, to in LAUNCH.items() if github or name != "colab_url"}
    options["launch_buttons"] = launch


def _aim(app: Any, name: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """Let each button of a page lead to the file that is meant."""
    suffix = context.get("page_source_suffix")
    if not suffix or not app.config.html_theme_options.get("repository_url"):
        return
    shown = f"book/{name}{suffix}"
    to = {"Binder": launched(name), "Colab": launched(name)}
    for button in _all(context.get("header_buttons", [])):
        if "url" in button and shown in button["url"]:
            aim = to.get(button.get("text", ""), edited(name, suffix))
            button["url"] = button["url"].replace(shown, aim)


def _all(buttons: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Buttons with those of their groups."""
    return [each for button in buttons for each in [button, *button.get("buttons", [])]]
