"""Every figure function of the book, and what its figures hand on, by name."""

import pkgutil
from importlib import import_module
from inspect import isfunction
from types import SimpleNamespace

from songtitle import figures, studies

MODULES = [figures]
MODULES += [
    import_module(f"{studies.__name__}.{found.name}")
    for found in pkgutil.iter_modules(studies.__path__)
]
plots = SimpleNamespace(
    **{
        name: value
        for module in MODULES
        for name, value in vars(module).items()
        if isfunction(value) and value.__module__ == module.__name__ and not name.startswith("_")
    }
)
