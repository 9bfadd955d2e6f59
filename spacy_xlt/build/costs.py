"""What a build would ask of language models, from a sample of its documents."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from spacy.language import Language
from spacy.tokens import Doc
from tqdm import tqdm

from ..engine import Engine
from ..errors import error
from ..io import docs_bytes
from ..llm.api import Answer, LanguageModel, Request, nothing
from ..llm.budget import tokens_of
from ..readers import ReadSettings
from .builder import check_input
from .shard import Shard, ShardProcessor, shard_name
from .source import BuildInput

# Documents of the corpus that are looked at
SAMPLE = 20


class Asked(NamedTuple):
    """Requests to a model, tokens that it read for them, and tokens that it wrote."""

    requests: int = 0
    read: int = 0
    written: int = 0

    def times(self, factor: float) -> Asked:
        """The same, so many times."""
        return Asked(*(round(factor * n) for n in self))


@dataclass(frozen=True)
class Costs:
    """What language models were asked about a sample, and what that makes for the corpus.

    Attributes:
        asked: For each component that asks one, what it asked about the sample.
        docs: Documents of the sample, and of the corpus.
        chars: Characters of the sample, and of the corpus.
        failed: Documents of the sample that were set aside: their text and the error.
    """

    asked: Mapping[str, Asked]
    docs: tuple[int, int]
    chars: tuple[int, int]
    failed: Sequence[Mapping[str, Any]] = ()

    @property
    def expected(self) -> dict[str, Asked]:
        """The same for the corpus, which is taken to be as the sample is, character by character."""
        factor = self.chars[1] / max(1, self.chars[0])
        return {name: asked.times(factor) for name, asked in self.asked.items()}


def estimate(
    nlp: Language, source: str | Path, *, reading: ReadSettings, skip_corrupt: bool = False, silent: bool = True
) -> Costs:
    """Take a sample of a corpus through a pipeline that is not used afterwards, and count what it asks.

    Documents are taken at even distances. Nothing is written but what engines keep in their caches: so a build asks for
    the answers of the sample no more where there is one. A cache of translations is not looked at, as it would know the
    sample the second time and not the rest.

    Raises:
        XltError: E510 where the pipeline asks no language model; E508 if not a single document could be processed; the
            errors of `build` for the input.
    """
    counters = _count(nlp)
    if not counters:
        reason = "a config in which a language model is asked, such as one with spacy_xlt.LlmTranslator.v1"
        raise error("E510", setting="--dry-run", value=True, expected=reason)
    corpus = BuildInput.scan(Path(source), reading, before={}, skip_corrupt=skip_corrupt, silent=silent)
    check_input(nlp, corpus)
    chosen, total = _sample(corpus)
    shard = Shard(shard_name(0), docs_bytes(chosen, store_user_data=True), len(chosen))
    with tqdm(desc="ask", unit="request", disable=silent) as bar:
        for counter in counters.values():
            counter.shown = bar.update
        counts = ShardProcessor(nlp)(shard).counts
    failed = counts["failed"]
    if len(failed) == len(chosen):
        raise error("E508", n=len(chosen), reason=failed[0]["error"])
    chars = sum(len(doc.text) for doc in chosen), total
    asked = {name: counter.asked for name, counter in counters.items()}
    return Costs(asked, (len(chosen), corpus.n_docs), chars, failed)


def _sample(corpus: BuildInput) -> tuple[list[Doc], int]:
    """Documents at even distances, and the characters of all."""
    n = min(SAMPLE, corpus.n_docs)
    numbers = {(2 * i + 1) * corpus.n_docs // (2 * n) for i in range(n)}
    chosen, chars = [], 0
    for number, doc in enumerate(corpus.docs()):
        chars += len(doc.text)
        if number in numbers:
            chosen.append(doc)
    return chosen, chars


def _count(nlp: Language) -> dict[str, _Counter]:
    """Have what the components ask of language models counted, by component."""
    counters = {}
    for name, pipe in nlp.pipeline:
        # What its translator has kept is no measure for texts that are new
        if getattr(pipe, "cache", None) is not None:
            pipe.cache = None  # type: ignore[attr-defined]
        counter = _Counter()
        for owner, setting, model in _models(pipe, set()):
            setattr(owner, setting, _CountedModel(model, counter))
            counters[name] = counter
    return counters


def _models(owner: Any, seen: set[int]) -> Iterator[tuple[Any, str, LanguageModel]]:
    """Yield what has a language model, the name of the attribute, and the model, from a component on downwards."""
    for name, value in list(vars(owner).items()):
        if isinstance(value, LanguageModel):
            # One that two components share is counted where it was met first
            if not isinstance(value, _CountedModel):
                yield owner, name, value
            continue
        parts = value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else [value]
        for part in parts:
            if isinstance(part, Engine) and id(part) not in seen:
                seen.add(id(part))
                yield from _models(part, seen)


@dataclass
class _Counter:
    """What a component has asked. Equal requests count once, as a model answers them once."""

    asked: Asked = Asked()
    known: set[str] = field(default_factory=set)
    shown: Callable[[int], object] = nothing

    def add(self, request: Request, answer: Answer) -> None:
        whole = json.dumps(asdict(request), default=str, sort_keys=True)
        if whole not in self.known:
            self.known.add(whole)
            read, written = tokens_of(request, answer)
            self.asked = Asked(self.asked.requests + 1, self.asked.read + read, self.asked.written + written)
            self.shown(1)


class _CountedModel:
    """A language model whose requests are counted."""

    def __init__(self, model: LanguageModel, counter: _Counter):
        self._model = model
        self._counter = counter

    @property
    def signature(self) -> str:
        return self._model.signature

    def complete(self, requests: Sequence[Request], *, progress: Callable[[int], object] = nothing) -> list[Answer]:
        answers = self._model.complete(requests, progress=progress)
        for request, answer in zip(requests, answers, strict=True):
            self._counter.add(request, answer)
        return answers
