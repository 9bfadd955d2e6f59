"""`spacy_xlt.project` and `spacy_xlt.translate_and_project`: the pipeline as two Python calls, without one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from spacy.tokens import Doc
from spacy.util import minibatch

from .alignment.api import default_aligner
from .alignment.component import AlignerPipe
from .bitext import Bitext
from .errors import error
from .projection.component import DEFAULT_ENGINE, ProjectorPipe
from .translation.component import DEFAULT_QUALITY, TranslatorPipe
from .translation.engines import resolve_translator

# Documents that engines get at once
_BATCH = 64


def project(
    source_docs: Iterable[Doc],
    target_docs: Iterable[Doc],
    *,
    aligner: Any = None,
    projector: Any = None,
    on_lost: str = "missing",
) -> list[Bitext]:
    """Carry entities, span groups and categories over to translations that are there already.

    >>> import spacy, spacy_xlt
    >>> source, target = spacy.blank("en")("Maria lives in Lisbon."), spacy.blank("pt")("Maria mora em Lisboa.")
    >>> source.set_ents([source.char_span(0, 5, label="PER"), source.char_span(15, 21, label="LOC")])
    >>> (bitext,) = spacy_xlt.project([source], [target])
    >>> [(ent.text, ent.label_) for ent in bitext.target.ents], bitext.lost
    ([('Maria', 'PER'), ('Lisboa', 'LOC')], [])

    Args:
        source_docs: Documents with annotation. They are not changed.
        target_docs: Their translations, in the same order. They are not changed: `Bitext.target` is a copy with tokens
            and sentences, and the annotation of the source.
        aligner: The engine that links the words, such as an `EmbeddingAligner`; the default one where left out.
        projector: The engine that places the spans; `LinkProjector` where left out.
        on_lost: As `xlt_projector` has it: "keep", "missing" or "drop".

    Returns:
        A bitext for each pair. What could not be carried over is in `Bitext.lost`, with reasons.

    Raises:
        XltError: E356 where the sides have different lengths; what the engines raise.
    """
    sources, targets = list(source_docs), list(target_docs)
    if len(sources) != len(targets):
        raise error("E356", n_source=len(sources), n_target=len(targets))
    bitexts = [Bitext.of_docs(source, target) for source, target in zip(sources, targets, strict=True)]
    return list(_projected(bitexts, aligner, projector, on_lost))


def translate_and_project(
    docs: Iterable[Doc],
    *,
    target: str,
    source: str | None = None,
    translator: Any = "auto",
    aligner: Any = None,
    projector: Any = None,
    on_lost: str = "missing",
) -> list[Bitext]:
    """Translate documents, and carry their entities, span groups and categories over to the translations.

    >>> import spacy, spacy_xlt
    >>> doc = spacy.blank("en")("The dog of Maria sleeps.")
    >>> doc.set_ents([doc.char_span(11, 16, label="PER")])
    >>> (bitext,) = spacy_xlt.translate_and_project([doc], target="pt")
    >>> bitext.target.text, [(ent.text, ent.label_) for ent in bitext.target.ents]
    ('O cão de Maria dorme.', [('Maria', 'PER')])

    Args:
        docs: Documents with annotation. They are not changed.
        target: Language code to translate into.
        source: Language code of the documents; that of the first one's pipeline where left out.
        translator: An engine, or a short name such as "opus:en-de"; see `resolve_translator`.
        aligner: As `project`, and so are the others.

    Returns:
        A bitext for each document.

    Raises:
        XltError: As `resolve_translator`, and what the engines raise.
    """
    docs = list(docs)
    if not docs:
        return []
    source = source or docs[0].lang_
    if isinstance(translator, str):
        translator = _made(resolve_translator(translator, source=source, target=target).engine)
    pipe = TranslatorPipe(
        "translate_and_project", translator, target=target, source=source, quality=_made(DEFAULT_QUALITY)
    )
    bitexts = (bitext for batch in minibatch(docs, size=_BATCH) for bitext in pipe.predict(list(batch)))
    return list(_projected(bitexts, aligner, projector, on_lost))


def _projected(bitexts: Iterable[Bitext], aligner: Any, projector: Any, on_lost: str) -> Iterator[Bitext]:
    align = AlignerPipe("aligner", default_aligner() if aligner is None else aligner)
    place = ProjectorPipe("projector", _made(DEFAULT_ENGINE) if projector is None else projector, on_lost=on_lost)
    for some in minibatch(bitexts, size=_BATCH):
        batch = list(some)
        align.align(batch)
        yield from place.project(batch)


def _made(block: dict[str, Any]) -> Any:
    from spacy.util import registry

    return registry.resolve({"engine": block})["engine"]
