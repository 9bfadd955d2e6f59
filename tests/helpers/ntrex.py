"""Sentence pairs of NTREX-128 in assets/."""

from __future__ import annotations

from helpers.paths import ASSETS

NAMES = ("newstest2019-src.eng.txt", "newstest2019-ref.por-BR.txt")


def ntrex_pairs(n: int | None = None) -> list[tuple[list[str], list[str]]]:
    """The first pairs, English and Portuguese, cut at spaces."""
    sides = ((ASSETS / "ntrex" / name).read_text(encoding="utf8").splitlines()[:n] for name in NAMES)
    return [(source.split(), target.split()) for source, target in zip(*sides, strict=True)]
