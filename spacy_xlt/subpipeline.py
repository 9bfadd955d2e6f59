"""A whole spaCy pipeline inside a component: loaded when it is needed, and saved with the component."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import srsly
from spacy.language import Language
from spacy.tokens import Doc

from .device import one_thread_after_fork
from .errors import error


class SubPipeline:
    """A spaCy pipeline, loaded at first use from where the setting says or where it was saved with the component."""

    def __init__(self, pipeline: str | None, *, name: str, setting: str = "pipeline"):
        self.pipeline = pipeline
        self.name = name
        self.setting = setting
        self._nlp: Language | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_nlp": None}

    @property
    def nlp(self) -> Language:
        """The pipeline.

        Raises:
            XltError: E160 where none is named, E104 where it cannot be loaded.
        """
        if self._nlp is None:
            if self.pipeline is None:
                raise error("E160", name=self.name, setting=self.setting)
            self._nlp = load_pipeline(self.pipeline, name=self.name, setting=self.setting)
        return self._nlp

    @property
    def signature(self) -> str:
        """The pipeline's name and version where it is loaded, else the setting."""
        if self._nlp is None:
            return f"pipeline:{self.pipeline}"
        meta = self._nlp.meta
        return f"pipeline:{meta['lang']}_{meta['name']}-{meta['version']}"

    def run(self, docs: Iterable[Doc], *, disable: Iterable[str] = ()) -> list[Doc]:
        """Run the pipeline on docs that have its vocabulary; see `with_vocab`."""
        one_thread_after_fork()
        return list(self.nlp.pipe(docs, disable=list(disable)))

    def to_disk(self, path: str | Path) -> None:
        """Save the whole pipeline, so that the place that it came from is not needed any more."""
        nlp = self.nlp
        Path(path).mkdir(parents=True, exist_ok=True)
        nlp.to_disk(path)

    def from_disk(self, path: str | Path) -> SubPipeline:
        """Load what `to_disk` saved instead of what the setting names."""
        self.pipeline = str(path)
        self._nlp = load_pipeline(self.pipeline, name=self.name, setting=self.setting)
        return self

    def to_bytes(self) -> bytes:
        """The pipeline with its config."""
        data = {"config": self.nlp.config.to_bytes(), "meta": self.nlp.meta, "nlp": self.nlp.to_bytes()}
        return bytes(srsly.msgpack_dumps(data))

    def from_bytes(self, data: bytes) -> SubPipeline:
        """The counterpart of `to_bytes`."""
        from spacy.util import load_model_from_config
        from thinc.api import Config

        stored = srsly.msgpack_loads(data)
        config = Config().from_bytes(stored["config"], interpolate=False)
        self._nlp = load_model_from_config(config, meta=stored["meta"]).from_bytes(stored["nlp"])
        return self


def load_pipeline(pipeline: str, *, name: str, setting: str) -> Language:
    """Load a spaCy pipeline that a component's setting names.

    Raises:
        XltError: E104 with spaCy's reason where that fails.
    """
    import spacy

    try:
        return spacy.load(pipeline)
    except (OSError, ValueError, ImportError) as err:
        raise error("E104", name=name, pipeline=pipeline, setting=setting, reason=" ".join(str(err).split())) from err
