"""Another vocabulary for an encoder, without training: fewer pieces, romanised ones, or those of another language."""

from .romanise import romanise
from .transfer import transfer
from .trim import trim

__all__ = ["romanise", "transfer", "trim"]
