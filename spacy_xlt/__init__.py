"""Cross-lingual transfer for spaCy: labelled text in one language in, a trained pipeline in another out."""

from .bitext import Alignment, Bitext, register_extension

__version__ = "0.1.0"
__all__ = ["Alignment", "Bitext", "__version__"]

register_extension()
