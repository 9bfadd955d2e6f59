"""More pieces: those of other scripts in Latin letters, too."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from spacy.tokens import Doc

from ..alignment.encoder import BLANK
from ..errors import error
from ..io import check_new_folder
from ..romanisation import check_uroman, is_foreign, language_code, romanised_word
from .counting import count_pieces
from .models import embeddings, load, write
from .pieces import BPE, Pieces, names_by_id


def romanise(model: str, docs: Iterable[Doc] | None, output: str | Path, *, lang: str | None = None) -> dict[str, Any]:
    """Write an encoder that also knows its pieces of other scripts in Latin letters (Liu et al. 2024, TransMI).

    The romanised form of a piece is added with its vector, and with its score in a Unigram model. Where several pieces
    have one form, the vector is their mean, by how often texts use them, and the score that of the greatest. What is a
    piece already stays as it is.

    Args:
        model: A model folder, a Hugging Face name, or "bundled:NAME". Heads on top of it are not kept.
        docs: Texts, not romanised: the pieces that they use are romanised. None for all pieces, all alike.
        output: The model folder to write. It appears when it is complete.
        lang: Language of the texts, where its own way to read letters matters.

    Returns:
        What was asked for, pieces romanised and added, pieces and megabytes of weights before and after.

    Raises:
        XltError: E106 where uroman is missing, E010 for an unknown language, E553 where the folder is there already,
            E860 for BPE, E862 where nothing is to be added; E303, E860, E861 as `models.load`.
    """
    check_uroman("Romanising a vocabulary")
    code = language_code(lang)
    check_new_folder(output)
    encoder, pieces = load(model)
    if pieces.kind == BPE:
        raise error("E860", model=model, reason="a piece of BPE is made of others, which romanised ones are not")
    counts = np.ones(len(pieces.ids), np.int64) if docs is None else count_pieces(pieces, docs)
    originals = _originals(pieces, counts, code)
    if not originals:
        raise error("E862", reason="no piece that they use has letters outside Latin")
    names = [*pieces.names, *originals]
    scores = None
    if pieces.scores:
        scores = [*pieces.scores, *(max(pieces.scores[i] for i in ids) for ids in originals.values())]
    tokenizer = pieces.with_pieces(names, scores=scores)
    old = embeddings(encoder)
    added = {name: np.average(old[ids], axis=0, weights=counts[ids]) for name, ids in originals.items()}
    vectors = np.stack(
        [added[name] if name in added else old[pieces.ids[name]] for name in names_by_id(tokenizer.backend_tokenizer)]
    )
    n_originals = sum(map(len, originals.values()))
    summary = {"made_by": "romanise", "model": model, "lang": lang, "romanised": n_originals, "added": len(added)}
    return write(encoder, tokenizer, vectors, output, summary)


def _originals(pieces: Pieces, counts: NDArray[np.int64], lang: str | None) -> dict[str, list[int]]:
    """The forms to add and the ids of the pieces that they stand for."""
    found = defaultdict(list)
    for name in pieces.names:
        i = pieces.ids[name]
        if counts[i] and name not in pieces.special and any(map(is_foreign, name)):
            form = _romanised(pieces, name, lang)
            if form is not None and form not in pieces.ids:
                found[form].append(i)
    return dict(found)


def _romanised(pieces: Pieces, name: str, lang: str | None) -> str | None:
    """A piece in Latin letters, with its mark of the place in the word; None where no text could be cut into it."""
    marks = (mark for mark in (pieces.continuation, BLANK) if mark and name.startswith(mark))
    mark = next(marks, "")
    text = romanised_word(name.removeprefix(mark), lang)
    splitter = pieces.backend.pre_tokenizer
    if any(map(is_foreign, text)) or (splitter is not None and len(splitter.pre_tokenize_str(text)) != 1):
        return None
    return mark + text
