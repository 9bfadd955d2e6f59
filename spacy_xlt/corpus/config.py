"""Making a pipeline from a config file, for the commands."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from spacy import util
from spacy.language import Language
from thinc.api import Config

from ..errors import XltError, error


def load_pipeline_config(path: str | Path, overrides: dict[str, Any] | None = None) -> Language:
    """Make the pipeline that a config describes, its components without weights of their own.

    overrides (dict[str, Any] | None): Settings by dotted name, as `spacy train` takes them.
    RAISES (XltError): E502 where the file is missing, E514 with spaCy's own words where it cannot be used.
    """
    path = Path(path)
    if not path.is_file():
        raise error("E502", what="config", path=path)
    try:
        config = util.load_config(path, overrides=overrides or {}, interpolate=True)
        return util.load_model_from_config(config, auto_fill=True, validate=True)
    except XltError:
        raise
    except Exception as err:  # spaCy raises ValueError, ImportError, KeyError and more, all about what is in the file
        raise error("E514", path=path, reason=str(err).strip()) from err


def component_config(nlp: Language, *, deciding: bool = False) -> dict[str, Any]:
    """The part of a pipeline's config that decides what it does to documents.

    deciding (bool): Without the settings that a component names in `settings_without_effect`, such as its cache.
    """
    config = Config(nlp.config).interpolate()
    components = config["components"]
    if deciding:
        for name, pipe in nlp.pipeline:
            for setting in getattr(pipe, "settings_without_effect", ()):
                components.get(name, {}).pop(setting, None)
    return {"lang": config["nlp"]["lang"], "pipeline": config["nlp"]["pipeline"], "components": components}
