"""`python -m spacy xlt …`: one file a command. A new file in this folder is a new command."""

from importlib import import_module
from pkgutil import iter_modules

from ._app import app

for _module in iter_modules(__path__):
    if not _module.name.startswith("_"):
        import_module(f"{__name__}.{_module.name}")

__all__ = ["app"]
