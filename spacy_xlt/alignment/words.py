"""What a token must have to be linked at all."""

from __future__ import annotations

import unicodedata


def has_text(token: str) -> bool:
    """Whether a token has anything but white space, control and zero-width characters in it."""
    return any(not (char.isspace() or unicodedata.category(char) in {"Cc", "Cf", "Cs"}) for char in token)
