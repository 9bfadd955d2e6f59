"""Engines small enough to predict by hand."""

from __future__ import annotations

from collections.abc import Sequence

from spacy.util import registry

from spacy_xlt import Alignment
from spacy_xlt.protocols import PairContext, TokenPair, Translation


class UpperTranslator:
    """Translates by writing everything in capitals; cannot translate "crash"."""

    signature = "upper-1"

    def translate(self, texts: Sequence[str], *, source: str, target: str) -> list[Translation]:
        if any("crash" in text for text in texts):
            raise RuntimeError("this text cannot be translated")
        return [Translation(text.upper(), score=-0.5) for text in texts]


class DiagonalAligner:
    """Links the first token to the first, the second to the second, and so on."""

    signature = "diagonal-1"

    def align(self, pairs: Sequence[TokenPair], *, contexts: Sequence[PairContext] | None = None) -> list[Alignment]:
        return [Alignment([(i, i) for i in range(min(len(a), len(b)))]) for a, b in pairs]


@registry.misc("test.UpperTranslator.v1")
def make_upper() -> UpperTranslator:
    return UpperTranslator()


@registry.misc("test.DiagonalAligner.v1")
def make_diagonal() -> DiagonalAligner:
    return DiagonalAligner()


UPPER = {"@misc": "test.UpperTranslator.v1"}
DIAGONAL = {"@misc": "test.DiagonalAligner.v1"}
