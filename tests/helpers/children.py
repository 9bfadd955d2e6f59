"""Interpreters that tests start."""

from __future__ import annotations

import os
from pathlib import Path


def without(*packages: str) -> dict[str, str]:
    """What to add to the environment of an interpreter that is to start sooner.

    Args:
        packages: What it does not find, neither as modules nor by their entry points. spaCy itself imports torch, and
            spacy_transformers with each pipeline, which takes six seconds.
    """
    paths = [str(Path(__file__).parent / "starting"), os.environ.get("PYTHONPATH", "")]
    return {"PYTHONPATH": os.pathsep.join(filter(None, paths)), "TEST_WITHOUT": ",".join(packages)}


WITHOUT_TORCH = without("torch", "spacy_transformers")
