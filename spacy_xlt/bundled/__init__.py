"""Models that come inside ordinary pip packages, written out or built in memory. Needs `spacy-xlt[bundled]`."""

from .encoder import ENCODERS, PREFIX, load, write

__all__ = ["ENCODERS", "PREFIX", "load", "write"]
