"""Projecting without a pipeline."""

from __future__ import annotations

from typing import Any

from spacy_xlt import Bitext
from spacy_xlt.projection.component import ProjectorPipe


def project(engine: Any, bitext: Bitext, **settings: Any) -> Bitext:
    """Project onto the target of a bitext, with settings of the component."""
    (result,) = ProjectorPipe("xlt_projector", engine, **settings).project([bitext])
    assert result is bitext
    return bitext
