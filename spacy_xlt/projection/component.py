"""`xlt_projector`: carry annotation across Bitexts."""

from __future__ import annotations

from typing import Any

from spacy.language import Language

from ..pipe import XltPipe


@Language.factory("xlt_projector", requires=["doc._.xlt"], assigns=["doc._.xlt"])
def make_projector(nlp: Language, name: str, engine: Any) -> XltPipe:
    raise NotImplementedError
