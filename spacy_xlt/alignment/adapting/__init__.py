"""Adapting an encoder to a pair of languages with parallel text, so that its vectors align their words better."""

from .adapter import Adapter
from .settings import AdaptingSettings

__all__ = ["Adapter", "AdaptingSettings"]
