"""The library's reference, from its docstrings, which are plain text with code in backticks.

`book/api/*.md` name the modules; autodoc reads them. Annotations stand in the signatures as they
are written: `Float[Tensor, "batch frames"]` says more here than a link to a class would.
"""

import re
from typing import Any, get_type_hints

CODE = re.compile(r"`+([^`]+?)`+")
_EMPHASIS = re.compile(r"(?<![\w*])\*\w[^*\s]*\*(?![\w*])")  # as in *k*
_SPECIAL = re.compile(r"\\|\*|\||_(?!\w)|(?<!\w)_|\[(?=[^\]]*\]_)|::$", re.MULTILINE)

SETTINGS = {
    "autodoc_default_options": {"members": True, "imported-members": True},
    "autodoc_member_order": "bysource",
    "autodoc_preserve_defaults": True,
    "autodoc_typehints_format": "short",
    "add_module_names": False,
    "default_role": "code",
    "python_maximum_signature_line_length": 88,
    "python_use_unqualified_type_names": True,
    "toc_object_entries": False,
}


def setup(app: Any) -> None:
    """Load autodoc, and let it read docstrings as this project writes them."""
    app.setup_extension("sphinx.ext.autodoc")
    _bare()
    app.connect("config-inited", _settle)
    app.connect("autodoc-process-docstring", _process)
    app.connect("autodoc-skip-member", _skip)


def as_rst(text: str) -> str:
    """A docstring as reStructuredText: code in backticks, and indented by four, stays code; lists
    stay lists; all else is plain text."""
    blocks = re.split(r"\n[ ]*\n", text)
    return "\n\n".join(_code(each) if _is_code(each) else _prose(each) for each in blocks)


def _is_code(block: str) -> bool:
    lines = block.strip("\n").split("\n")
    return bool(block.strip()) and all(line.startswith("    ") for line in lines if line)


def _code(block: str) -> str:
    return ".. code-block:: python\n\n" + block.strip("\n")


def _prose(text: str) -> str:
    parts, end = [], 0
    for code in CODE.finditer(text):
        inside = " ".join(code[1].split())
        parts += [_escaped(text[end : code.start()]), f"``{inside}``"]
        end = code.end()
        if text[end : end + 1].isalnum():  # markup wants a blank behind it, seen or not
            parts.append("\\ ")
    return "".join([*parts, _escaped(text[end:])])


def _escaped(text: str) -> str:
    parts, end = [], 0
    for kept in _EMPHASIS.finditer(text):
        parts += [_SPECIAL.sub(r"\\\g<0>", text[end : kept.start()]), kept[0]]
        end = kept.end()
    return "".join([*parts, _SPECIAL.sub(r"\\\g<0>", text[end:])])


def _settle(app: Any, config: Any) -> None:
    given = config._raw_config
    for name, value in SETTINGS.items():
        if name not in given:
            setattr(config, name, value)
    # Classes of other libraries have no page here: an annotation is text, not a broken link.
    config.nitpick_ignore_regex = [*config.nitpick_ignore_regex, ("py:.*", ".*")]


def _bare() -> None:
    """Let a setting's annotation be its type here: of its range pydantic's repr says little."""
    from songtitle.audio import SpectrogramConfig
    from songtitle.config import ExperimentConfig
    from songtitle.model.captioner import ModelConfig
    from songtitle.schema import told
    from songtitle.search import SearchConfig
    from songtitle.training import TrainingConfig

    parts = (SpectrogramConfig, ModelConfig, TrainingConfig, SearchConfig)
    for kind in (ExperimentConfig, *parts):
        told(kind)  # what holds values to their range is made first, and kept
        kind.__annotations__ = types = get_type_hints(kind)
        kind.__init__.__annotations__.update(types)


def _process(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    lines[:] = as_rst("\n".join(lines)).split("\n")


def _skip(app: Any, what: str, name: str, obj: Any, skip: bool, options: Any) -> bool | None:
    """Leave out what a module takes from elsewhere: with `__all__` the package says what it gives,
    without it a module gives its own."""
    from sys import modules

    module = modules.get(app.env.temp_data.get("autodoc:module", ""))
    if what != "module" or module is None or hasattr(module, "__all__"):
        return None
    made = getattr(obj, "__module__", None)
    return True if made is not None and made != module.__name__ else None
