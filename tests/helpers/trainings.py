"""Training with the configs that ship, in this process."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

from spacy.language import Language
from spacy.training.initialize import init_nlp
from spacy.training.loop import train

from helpers.paths import CONFIGS
from spacy_xlt.config import merge_configs


def trained(*overlays: str, output: Path | None = None, **overrides) -> Language:
    """What `spacy train` makes of `train`, `ner` and other configs that ship over them, with other values."""
    paths = [CONFIGS / f"{name}.cfg" for name in ("train", "ner", *overlays)]
    with warnings.catch_warnings():
        # spaCy's about other things than ours
        warnings.filterwarnings("ignore", category=UserWarning, module="(?!spacy_xlt)")
        settings = {name.replace("__", "."): value for name, value in overrides.items()}
        nlp = init_nlp(merge_configs(paths, {"corpora.train.use": ["projected"], **settings}))
    if output:
        output.mkdir()
    return train(nlp, output, stdout=io.StringIO(), stderr=io.StringIO())[0]
