"""Cross-lingual transfer for spaCy: labelled text in one language in, a trained pipeline in another out."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .alignment.api import align
    from .bitext import Alignment, Bitext
    from .calls import project, translate_and_project
    from .view.render import render

__version__ = "0.1.0"
__all__ = ["Alignment", "Bitext", "__version__", "align", "project", "render", "translate_and_project"]


# spaCy imports torch wherever it is installed, so that the names that need spaCy are imported when asked for.
# A module of the package must not have one of these names: importing it would take the function's place.
_MODULES = {
    "Alignment": "bitext",
    "Bitext": "bitext",
    "align": "alignment.api",
    "project": "calls",
    "render": "view.render",
    "translate_and_project": "calls",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_MODULES[name]}", __name__), name)


if "spacy" in sys.modules:
    # makes `doc._.xlt` known also to those who never create a pipeline
    from . import bitext  # noqa: F401
