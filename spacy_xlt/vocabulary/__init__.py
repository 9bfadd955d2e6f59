"""Another vocabulary for an encoder, without training: fewer pieces, romanised ones, or those of another language."""

from .romanising import romanise
from .transferring import transfer
from .trimming import trim

__all__ = ["romanise", "transfer", "trim"]
