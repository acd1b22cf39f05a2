"""Protocols that are checked while the code runs: each Python that is promised finds the same."""

import importlib
import inspect
import pkgutil
from contextlib import suppress

import songtitle


def protocols():
    """Every protocol of songtitle that isinstance may check."""
    found = set()
    for module in pkgutil.walk_packages(songtitle.__path__, "songtitle."):
        with suppress(ModuleNotFoundError):  # what the newest Python cannot have: img2dataset
            members = vars(importlib.import_module(module.name)).values()
            found |= {kind for kind in members if getattr(kind, "_is_runtime_protocol", False)}
    return sorted(
        (kind for kind in found if kind.__module__.startswith("songtitle.")),
        key=lambda kind: kind.__qualname__,
    )


def test_a_protocol_that_isinstance_checks_has_no_bare_attribute():
    """Python 3.11 finds one with getattr, 3.12 with inspect.getattr_static, which sees none of a
    module's children: whether a decoder is one must not depend on that."""
    assert protocols()
    for kind in protocols():
        assert not inspect.get_annotations(kind), f"{kind.__qualname__}: make it a base class"
