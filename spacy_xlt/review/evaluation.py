"""Reviewed sentences as gold, with the sentences of the source that they translate."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from spacy.tokens import Doc
from spacy.vocab import Vocab

from ..docs import tokens_digest, without
from ..errors import error, warn
from ..languages import vocab_of
from ..readers.docbin import read_docs
from ..readers.jsonl import AnnotatedText, annotated_texts, to_doc
from ..readers.settings import ENTS, ReadNotes, ReadSettings, lines_named
from .records import source_of


def reviewed_pairs(source: Path, gold: Path, *, vocab: Vocab, target_lang: str) -> list[tuple[Doc, Doc]]:
    """The accepted sentences of a file that the page of `spacy xlt view --review` saved, each with its source.

    Args:
        source: The corpus that was built from, or the build's `bitext` folder.
        gold: JSON lines.
        vocab: For the source documents.
        target_lang: Language of the gold sentences.

    Returns:
        Source and gold, a sentence each, in the order of the file.

    Raises:
        XltError: As `annotated_texts`; E564 for a line that no page wrote; E568 where nothing was accepted; E570 where
            no source has the sentences.
    """
    notes = ReadNotes()
    accepted = annotated_texts(gold, lang=target_lang, accepted=True, notes=notes)
    lines = [(*_place(line, gold), line.line, _gold(line, target_lang, notes)) for line in accepted]
    notes.warn(gold, ReadSettings())
    if not lines:
        raise error("E568", path=gold, what='line with the answer "accept"')
    wanted = {digest for digest, *_ in lines}
    folder = source / "bitext"
    docs: dict[str, Doc] = {}
    for doc in read_docs(folder if folder.is_dir() else source, vocab=vocab):
        if (digest := tokens_digest(doc)) in wanted:
            docs.setdefault(digest, doc)
    pairs, missing = [], []
    for digest, (start, end), line, reviewed in lines:
        document = docs.get(digest)
        if document is None or not 0 <= start < end <= len(document):
            missing.append(line)
            continue
        sentence = without(document, [(0, start), (end, len(document))])
        pairs.append((sentence, reviewed))
    if not pairs:
        raise error("E570", path=gold, n=len(lines), where=source)
    if missing:
        reason = f"their documents are not in {source}"
        warn("W562", n=len(missing), path=gold, lines=lines_named(missing), reason=reason)
    return pairs


def _gold(line: AnnotatedText, lang: str, notes: ReadNotes) -> Doc:
    # Who accepted a sentence has said all of its entities, also where only span groups have any
    return to_doc(replace(line, annotated=line.annotated | {ENTS}), vocab_of(lang), notes=notes)


def _place(line: AnnotatedText, path: Path) -> tuple[str, tuple[int, int]]:
    """The digest of the source document, and the tokens of it that the sentence translates."""
    if not line.annotated:
        raise error("E564", path=path, line=line.line, reason='"spans" is missing')
    pair_id, tokens = line.meta.get("id"), line.meta.get("source_tokens")
    if not (isinstance(pair_id, str) and isinstance(tokens, list) and [type(token) for token in tokens] == [int, int]):
        reason = '"meta" does not say which sentence of the source it is about'
        raise error("E564", path=path, line=line.line, reason=reason)
    return source_of(pair_id), (tokens[0], tokens[1])
