"""Numbers that look drawn by chance and depend on nothing but a seed and a name."""

from __future__ import annotations

from hashlib import blake2b


def draw(seed: int, name: str) -> float:
    """A number from 0 up to 1, the same one each time for the same seed and name."""
    digest = blake2b(f"{seed}:{name}".encode(), digest_size=8).digest()
    # 53 bits, as many as a float has
    return (int.from_bytes(digest, "big") >> 11) / (1 << 53)
