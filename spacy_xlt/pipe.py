"""What the components share: batches, errors of single documents, and saving."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Generic, TypeVar

import srsly
from spacy.language import Language
from spacy.pipeline import Pipe
from spacy.tokens import Doc
from spacy.training import Example
from spacy.util import minibatch

from . import __version__
from .bitext import Bitext
from .device import free_caches, is_out_of_memory
from .errors import error, is_fatal, warn
from .languages import to_spacy
from .requirements import add_requirements

Prediction = TypeVar("Prediction")
# Documents in a row, each alone, without the memory for one of them: then it is no document's fault
MOST_ALONE = 8


class XltPipe(Pipe, ABC, Generic[Prediction]):
    """A component that holds one engine.

    A subclass writes `predict`, which changes nothing, and `set_annotations`, which writes what was predicted.

    Raises:
        XltError: E101 where the engine does not have it, E150 for a name in place of an engine.
    """

    required_method: str = ""

    def __init__(self, name: str, engine: Any):
        self.name = name
        self.engine = engine
        # How many docs there is the memory for at once, once there was not for a whole batch
        self._fitting: int | None = None
        # How many docs in a row were each alone too much for it
        self._alone = 0
        if isinstance(engine, str):
            expected = f'a section [components.{name}.engine] with @misc = "spacy_xlt.NAME.v1" and its settings'
            raise error("E150", owner=name, setting="engine", value=engine, expected=expected)
        if self.required_method and not callable(getattr(engine, self.required_method, None)):
            kind = type(engine).__name__
            setting = f"components.{name}.engine"
            raise error("E101", name=name, engine=kind, method=self.required_method, setting=setting)

    @abstractmethod
    def predict(self, docs: list[Doc]) -> list[Prediction]:
        """One prediction for each doc; the docs are not changed."""

    @abstractmethod
    def set_annotations(self, docs: list[Doc], predictions: list[Prediction]) -> None:
        """Write the predictions onto the docs."""

    def _process(self, docs: list[Doc]) -> None:
        self.set_annotations(docs, self.predict(docs))

    def __call__(self, doc: Doc) -> Doc:
        self._process([doc])
        return doc

    def pipe(self, stream: Iterable[Doc], *, batch_size: int = 64) -> Iterator[Doc]:
        """Process a stream of docs in batches, in order.

        A batch for which the memory is too small is tried again in halves, and the size that worked is kept for the
        batches that follow. One that fails with another error is tried again one doc at a time, so that only the doc
        that cannot be processed goes to the error handler. An error that comes with every doc takes the whole batch
        there at once.
        """
        for docs in minibatch(stream, size=batch_size):
            yield from self._survivors(list(docs))

    def _survivors(self, batch: list[Doc]) -> Iterator[Doc]:
        """The docs of a batch that could be processed, in order; the error handler gets the others."""
        size = self._fitting
        pending = deque([batch])
        while pending:
            docs = pending.popleft()
            if size is not None and len(docs) > size:
                pending.appendleft(docs[size:])
                docs = docs[:size]
            try:
                self._process(docs)
            except Exception as err:
                if no_memory := is_out_of_memory(err):
                    # A single document says nothing about the others
                    size = (len(docs) + 1) // 2 if len(docs) > 1 else self._fitting
                pending.extendleft(reversed(self._to_retry(docs, err)))
            else:
                self._alone = 0
                yield from docs
                continue
            # Outside of the handler, where nothing holds on to what the failed call has computed
            if no_memory:
                free_caches()
        if size != self._fitting:
            if self._fitting is None:
                warn("W571", stacklevel=4, name=self.name, size=len(batch), smaller=size)
            self._fitting = size

    def _to_retry(self, docs: list[Doc], err: Exception) -> list[list[Doc]]:
        """What to try after an error; nothing where the error handler gets the docs."""
        no_memory = is_out_of_memory(err)
        if len(docs) > 1 and no_memory:
            return [docs]
        if len(docs) > 1 and not is_fatal(err):
            return [[doc] for doc in docs]
        if no_memory:
            self._alone += 1
            if self._alone >= MOST_ALONE:
                reason = " ".join(str(err).split()) or type(err).__name__
                stopped = error("E572", name=self.name, n=self._alone, reason=reason)
                stopped.__cause__ = err
                err = stopped
        self.get_error_handler()(self.name, self, docs, err)
        return []

    def initialize(self, get_examples: Callable[[], Iterable[Example]], *, nlp: Language | None = None) -> None:
        """Note in the pipeline's meta what its package must require; called by `spacy assemble` and `spacy train`.

        Raises:
            XltError: E160 or E104 where a pipeline inside the component cannot be loaded.
        """
        if nlp is not None:
            add_requirements(nlp, block=self.name, inner=self.inner_pipelines())

    def inner_pipelines(self) -> list[Language]:
        """The spaCy pipelines inside the component, loaded."""
        return []

    @property
    def signature(self) -> str:
        """The engine's signature."""
        return str(getattr(self.engine, "signature", type(self.engine).__name__))

    def to_disk(self, path: str | Path, *, exclude: Iterable[str] = ()) -> None:
        """Save what the config does not hold: which engine made results so far, and the engine's own data if any."""
        folder = Path(path)
        folder.mkdir(parents=True, exist_ok=True)
        if hasattr(self.engine, "to_disk") and "engine" not in exclude:
            self.engine.to_disk(folder / "engine")
        # After the engine, which may have been loaded only now
        srsly.write_json(folder / "cfg", {"signature": self.signature, "spacy_xlt": __version__})

    def from_disk(self, path: str | Path, *, exclude: Iterable[str] = ()) -> XltPipe[Prediction]:
        """Load; warn with W101 where the engine now here is another than the one saved."""
        folder = Path(path)
        if hasattr(self.engine, "from_disk") and "engine" not in exclude:
            self.engine.from_disk(folder / "engine")
        return self._checked(srsly.read_json(folder / "cfg"))

    def to_bytes(self, *, exclude: Iterable[str] = ()) -> bytes:
        """The same as `to_disk`; of the engine's own data, what the engine has a `to_bytes` for."""
        data: dict[str, Any] = {"spacy_xlt": __version__}
        if hasattr(self.engine, "to_bytes") and "engine" not in exclude:
            data["engine"] = self.engine.to_bytes()
        return bytes(srsly.msgpack_dumps({**data, "signature": self.signature}))

    def from_bytes(self, data: bytes, *, exclude: Iterable[str] = ()) -> XltPipe[Prediction]:
        """The counterpart of `to_bytes`."""
        saved = srsly.msgpack_loads(data)
        if "engine" in saved and "engine" not in exclude:
            self.engine.from_bytes(saved["engine"])
        return self._checked(saved)

    def _checked(self, saved: dict[str, Any]) -> XltPipe[Prediction]:
        if saved["signature"] != self.signature:
            warn("W101", stacklevel=4, name=self.name, found=self.signature, saved=saved["signature"])
        return self


class BitextPipe(XltPipe[dict[str, Bitext]]):
    """A component that works on the Bitexts that documents already have.

    Args:
        targets: Which bitexts of `doc._.xlt`, by language code; all where left out.
    """

    def __init__(self, name: str, engine: Any, *, targets: list[str] | None = None):
        super().__init__(name, engine)
        self.targets = targets

    def bitexts_of(self, doc: Doc) -> dict[str, Bitext]:
        """The bitexts of a doc that the component is to work on, by language code.

        Raises:
            XltError: E102 where the doc has none, E005 where it lacks one that `targets` names.
        """
        store = doc._.xlt
        if not len(store):
            raise error("E102", name=self.name)
        wanted = list(store) if self.targets is None else [to_spacy(lang) for lang in self.targets]
        for lang in wanted:
            if lang not in store:
                raise error("E005", lang=lang, known=", ".join(store))
        return {lang: store[lang] for lang in wanted}

    def set_annotations(self, docs: list[Doc], predictions: list[dict[str, Bitext]]) -> None:
        """Store the Bitexts on the docs."""
        for doc, bitexts in zip(docs, predictions, strict=True):
            for lang, bitext in bitexts.items():
                doc._.xlt[lang] = bitext
