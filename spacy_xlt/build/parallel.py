"""Building from parallel text: the source annotated once, and a build folder for each target language."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache, reduce
from operator import getitem
from pathlib import Path
from typing import Any

import numpy as np
from spacy.language import Language
from spacy.tokens import Doc, DocBin

from ..docs import META
from ..errors import XltError, error
from ..io import fingerprint, path_digest
from ..languages import blank, to_spacy, vocab_of
from ..links import Alignment
from ..pipe import XltPipe
from ..projection.filters import LinkScoreFilter, link_score
from ..protocols import PairContext, TokenPair
from ..readers import ReadSettings
from ..translation.parallel_text import given
from .builder import build
from .manifest import read_manifest
from .parallel_files import ParallelText, Row
from .shard import BITEXT, shard_name
from .source import DocInput
from .workers import WorkerPool

SOURCE = "source"
# In `doc.user_data` of the source: the number of a document
_NUMBER = "number"
# Components that the annotation of the source comes before
_FIRST = frozenset({"xlt_translator", "xlt_parallel", "xlt_aligner"})
# Pairs that tell what links say of a language, the fewest that do, and how much surer the aligner must be of pairs than
# of lines that have nothing to do with each other
_SAMPLE, _FEWEST, _SURER = 200, 20, 0.1
# The least that a pair's score must be, on the way from unrelated lines to the usual pair
_LEAST_WAY = 0.25
_HELD_SHARDS = 16

# Makes the pipeline of the config with some settings more
MakePipeline = Callable[[Mapping[str, Any]], Language]


@dataclass
class LanguageBuild:
    """What became of a language.

    Attributes:
        target: What its folder is called.
        folder: The build folder.
        n_lines: Lines of the parallel text.
        n_empty: Lines that have nothing on one side, which are left out.
        summary: See `build`; empty where it failed.
        failure: Why it failed.
    """

    target: str
    folder: Path
    n_lines: int = 0
    n_empty: int = 0
    summary: Mapping[str, Any] = field(default_factory=dict)
    failure: XltError | None = None

    @property
    def left_out(self) -> dict[str, int]:
        """Lines that are not in the projected corpus, by the reason."""
        reasons = dict(self.summary.get("sentences_dropped", {}))
        more = {"empty line": self.n_empty, "failed": self.summary.get("docs_failed", 0)}
        return {name: n for name, n in {**more, **reasons}.items() if n}


@dataclass
class ParallelBuilder:
    """Builds a folder for each language.

    Args:
        make_pipeline: Makes the config's pipeline. Its components before the first of `xlt_translator`, `xlt_parallel`
            and `xlt_aligner` annotate the source.
        output: The folder of the folders. `source/` has the annotated source text, in a build folder for each text
            that differs, which languages share.
        make_workers: What processes shards, for a pipeline; see `make_workers`.
        settings: Of `build`: `docs_per_shard`, `wait`, `silent`.
    """

    make_pipeline: MakePipeline
    output: Path
    make_workers: Callable[[Language], WorkerPool | None] = lambda _: None
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._inner: list[Language] = []
        # By the digest of their lines
        self._sources: dict[str, AnnotatedSource] = {}
        self._aligner: Any = None

    def run(self, texts: Iterable[ParallelText]) -> Iterator[LanguageBuild]:
        """Build languages one after the other. One that fails does not stop the others."""
        for text in texts:
            result = LanguageBuild(text.target, self.output / text.target)
            try:
                self._build(text, result)
            except XltError as err:
                result.failure = err
            yield result

    @cached_property
    def annotator(self) -> Language:
        """What annotates the source.

        Raises:
            XltError: E108 where the config has nothing that does.
        """
        nlp = self.make_pipeline({})
        first = next((n for n, name in enumerate(nlp.pipe_names) if nlp.pipe_factories[name] in _FIRST), 0)
        for name in nlp.pipe_names[first:]:
            nlp.remove_pipe(name)
        if not nlp.pipe_names:
            raise error("E108")
        for _, pipe in nlp.pipeline:
            # Signatures name what is loaded
            self._inner += pipe.inner_pipelines() if isinstance(pipe, XltPipe) else []
        return nlp

    @property
    def source_lang(self) -> str:
        """The language of the annotating pipeline; raises as `annotator`."""
        nlp = self.annotator
        return str((self._inner or [nlp])[0].lang)

    def pipeline(self, **settings: Any) -> Language:
        """What makes Bitexts of pairs, and works on them, with one aligner for all languages."""
        nlp = self.make_pipeline(settings)
        annotating = self.annotator.pipe_names
        for name in list(nlp.pipe_names):
            if name in annotating or nlp.pipe_factories[name] == "xlt_translator":
                nlp.remove_pipe(name)
        if "xlt_parallel" not in nlp.pipe_factories.values():
            nlp.add_pipe("xlt_parallel", first=True)
        for name in nlp.pipe_names:
            if nlp.pipe_factories[name] == "xlt_aligner":
                self._share(nlp.get_pipe(name))
        return nlp

    def _share(self, aligner: Any) -> None:
        self._aligner = self._aligner or aligner.engine
        aligner.engine = self._aligner

    def _build(self, text: ParallelText, result: LanguageBuild) -> None:
        rows = text.rows
        pairs = [row for row in rows if row.source and row.target]
        result.n_lines, result.n_empty = len(rows), len(rows) - len(pairs)
        if not pairs:
            raise error("E235", path=text.files[0][1])
        sources = self._annotated(text)
        nlp = self.pipeline()
        if filters := _open_filters(nlp):
            stored = _stored_scores(result.folder, filters)
            nlp = self.pipeline(**(stored or _least_scores(nlp, filters, text, pairs)))

        def document(n: int) -> Doc:
            doc = sources.doc(pairs[n].source)
            doc.user_data[META] = {"id": pairs[n].id}
            return given(doc, pairs[n].target, source=text.source, target=text.target)

        known = {"lines": _known(text.digest, len(pairs)), SOURCE: {"sha256": sources.digest}}
        result.summary = self._run(nlp, text, DocInput(result.folder, _reading(text), known, len(pairs), document))
        in_wrong_language = sum(result.left_out.get(name, 0) for name in ("wrong_language", "source_language"))
        if not result.summary["kept"].get("sentences") or 2 * in_wrong_language > len(pairs):
            reasons = ", ".join(f"{name} {n}" for name, n in result.left_out.items())
            kept = result.summary["kept"].get("sentences", 0)
            raise error("E109", target=text.target, kept=kept, n=len(rows), reasons=reasons)

    def _annotated(self, text: ParallelText) -> AnnotatedSource:
        """The annotated source, built where it is not there."""
        if text.source_digest in self._sources:
            return self._sources[text.source_digest]
        distinct = list(dict.fromkeys(row.source for row in text.rows if row.source))
        tokenizer = blank(text.source).tokenizer
        folder = self.output / SOURCE / text.source_digest[:8]
        known = {"lines": _known(text.source_digest, len(distinct))}

        def document(n: int) -> Doc:
            doc = tokenizer(distinct[n])
            doc.user_data[_NUMBER] = n
            return doc

        places = [
            getattr(pipe.engine, "pipeline", "") for _, pipe in self.annotator.pipeline if hasattr(pipe, "engine")
        ]
        made_from = {"annotator": fingerprint([path_digest(Path(at)) for at in places if at and Path(at).exists()])}
        self._run(self.annotator, text, DocInput(folder, _reading(text), known, len(distinct), document), made_from)
        built = AnnotatedSource(folder, text.source, distinct, self.settings.get("docs_per_shard", 200))
        self._sources[text.source_digest] = built
        return built

    def _run(
        self, nlp: Language, text: ParallelText, source: DocInput, made_from: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        title = text.source if made_from else text.target
        workers = self.make_workers(nlp)
        return build(nlp, source, source.path, workers=workers, made_from=made_from, title=title, **self.settings)


class AnnotatedSource:
    """The documents of a source that was built, by their text.

    Args:
        folder: The build folder.
        lang: Language code of the text.
        texts: All texts, in the order in which they were built.
        docs_per_shard: As they were built.
    """

    def __init__(self, folder: Path, lang: str, texts: Sequence[str], docs_per_shard: int):
        self._folder, self._lang, self._size = folder, lang, docs_per_shard
        self._numbers = {text: n for n, text in enumerate(texts)}
        self._shard = lru_cache(maxsize=_HELD_SHARDS)(self._read)

    @property
    def digest(self) -> str:
        """A checksum over what was built."""
        _, records = read_manifest(self._folder)
        return fingerprint([[name, sorted(record["files"].items())] for name, record in records.items()])

    def doc(self, text: str) -> Doc:
        """A copy of the document; without annotation where it was set aside."""
        number = self._numbers[text]
        doc = self._shard(number // self._size).get(number)
        if doc is None:
            return blank(self._lang).tokenizer(text)
        copy = doc.copy()
        copy.user_data = {}
        return copy

    def _read(self, number: int) -> dict[int, Doc]:
        path = self._folder / BITEXT / f"{shard_name(number)}.spacy"
        return {doc.user_data[_NUMBER]: doc for doc in DocBin().from_disk(path).get_docs(vocab_of(self._lang))}


def _open_filters(nlp: Language) -> list[str]:
    """The settings of a pipeline's config that its `LinkScoreFilter` leave open."""
    return [
        f"components.{name}.filters.{filter_name}.min_score"
        for name in nlp.pipe_names
        for filter_name, gate in getattr(nlp.get_pipe(name), "filters", {}).items()
        if isinstance(gate, LinkScoreFilter) and gate.min_score is None
    ]


def _stored_scores(folder: Path, filters: Sequence[str]) -> dict[str, Any]:
    """What a build that is to be gone on with found for them: numbers may differ a little from machine to machine."""
    try:
        header, records = read_manifest(folder)
        found = {name: reduce(getitem, name.split("."), header["config"]) for name in filters}
    except (XltError, KeyError, TypeError):
        return {}
    return found if records else {}


def _least_scores(nlp: Language, filters: Sequence[str], text: ParallelText, pairs: Sequence[Row]) -> dict[str, Any]:
    """What they are set to for a language: what is usual there, and between lines that were put together wrongly.

    Raises:
        XltError: E110 where the aligner finds the pairs hardly more alike than unrelated lines.
    """
    if len(pairs) < _FEWEST:
        return {}
    chosen = [pairs[n] for n in np.linspace(0, len(pairs) - 1, min(_SAMPLE, len(pairs))).astype(int)]
    given_pairs, aligner = (_first(nlp, factory) for factory in ("xlt_parallel", "xlt_aligner"))
    sources = [_words(blank(text.source).tokenizer(row.source)) for row in chosen]
    targets = [_words(given_pairs.cut(row.target, to_spacy(text.target))) for row in chosen]
    context = PairContext(text.source, text.target)
    half = len(chosen) // 2
    usual, unrelated = (
        float(np.median(_scores(aligner.engine.align(pairs, contexts=[context] * len(pairs)), pairs)))
        for pairs in (
            list(zip(sources, targets, strict=True)),
            list(zip(sources, targets[half:] + targets[:half], strict=True)),
        )
    )
    if usual - unrelated < _SURER:
        raise error("E110", target=text.target, usual=usual, unrelated=unrelated)
    least = round(unrelated + _LEAST_WAY * (usual - unrelated), 3)
    return dict.fromkeys(filters, least)


def _scores(alignments: Sequence[Alignment], pairs: Sequence[TokenPair]) -> list[float]:
    return [
        link_score(alignment, len(source), len(target))
        for alignment, (source, target) in zip(alignments, pairs, strict=True)
    ]


def _first(nlp: Language, factory: str) -> Any:
    return next(nlp.get_pipe(name) for name in nlp.pipe_names if nlp.pipe_factories[name] == factory)


def _words(doc: Doc) -> list[str]:
    return [token.text for token in doc]


def _reading(text: ParallelText) -> ReadSettings:
    return ReadSettings(lang=text.source, encoding=text.encoding)


def _known(digest: str, n_docs: int) -> dict[str, Any]:
    return {"sha256": digest, "docs": n_docs, "annotated": n_docs}
