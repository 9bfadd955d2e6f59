"""Fewer pieces: those that texts use, and what any other text can be written with."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from spacy.tokens import Doc

from ..errors import error
from ..io import check_new_folder
from .counting import count_pieces
from .models import embeddings, load, place_of_padding, write
from .pieces import BPE, UNIGRAM, Pieces, names_by_id


def trim(model: str, docs: Iterable[Doc], output: str | Path, *, min_count: int = 1) -> dict[str, Any]:
    """Write an encoder with the pieces that texts use, and give their vectors new ids (Abdaoui et al. 2020).

    Special pieces stay, and pieces of one character, so that any text can still be cut. With `min_count` 1 these
    texts are cut into the same pieces as before, as whole texts and token by token.

    Args:
        model: A model folder, a Hugging Face name, or "bundled:NAME". Heads on top of it are not kept.
        docs: The texts.
        output: The model folder to write. It appears when it is complete.
        min_count: How often a piece must be used to stay.

    Returns:
        What was asked for, pieces and megabytes of weights before and after.

    Raises:
        XltError: E553 where the folder is there already, E862 for texts in which nothing is used; E303, E860, E861 as
            `models.load`.
    """
    check_new_folder(output)
    encoder, pieces = load(model)
    counts = count_pieces(pieces, docs)
    if not counts.any():
        raise error("E862", reason="there is no text in them")
    names, scores, merges = kept_pieces(pieces, counts >= min_count, padding=place_of_padding(encoder))
    tokenizer = pieces.with_pieces(names, scores=scores, merges=merges)
    rows = [pieces.ids[name] for name in names_by_id(tokenizer.backend_tokenizer)]
    summary = {"made_by": "trim", "model": model, "min_count": min_count}
    return write(encoder, tokenizer, embeddings(encoder)[rows], output, summary)


def kept_pieces(
    pieces: Pieces, is_used: NDArray[np.bool_], *, padding: int | None = None
) -> tuple[list[str], list[float], list[tuple[str, str]] | None]:
    """The pieces that stay, in their order, with their scores or the merges that make them.

    Args:
        is_used: Whether the piece of each id is, (n_pieces,).
        padding: The id that the padding must keep.
    """
    used = {name for name in pieces.names if is_used[pieces.ids[name]]}
    kept = used | (pieces.special & set(pieces.names)) | {name for name in pieces.names if _is_single(pieces, name)}
    # In a RoBERTa the place of the padding says where positions begin
    kept |= {name for name in pieces.names if padding is not None and pieces.ids[name] <= padding}
    if pieces.kind == UNIGRAM:
        # What is unknown scores ten less than the piece that scores least
        kept.add(pieces.names[int(np.argmin(pieces.scores))])
    merges = None
    if pieces.kind == BPE:
        needed, merges = merges_of(kept - pieces.special, pieces.merges)
        kept |= needed
    scores = [score for name, score in zip(pieces.names, pieces.scores, strict=False) if name in kept]
    return [name for name in pieces.names if name in kept], scores, merges


def _is_single(pieces: Pieces, name: str) -> bool:
    return len(name) == 1 or len(name.removeprefix(pieces.continuation)) == 1


def merges_of(names: Iterable[str], merges: list[tuple[str, str]]) -> tuple[set[str], list[tuple[str, str]]]:
    """The merges that make pieces of BPE out of characters, in order, and all pieces on the way.

    Inside a piece they are the same wherever it stands: between it and its neighbours none was ever next. So a text of
    these pieces is cut as before, without all other merges.
    """
    ranks = {merge: rank for rank, merge in enumerate(merges)}
    found: set[tuple[str, str]] = set()
    for name in names:
        parts = list(name)
        while len(parts) > 1:
            pairs = list(zip(parts, parts[1:], strict=False))
            best = min(range(len(pairs)), key=lambda i: ranks.get(pairs[i], len(ranks)))
            if pairs[best] not in ranks:
                break
            found.add(pairs[best])
            parts[best : best + 2] = ["".join(pairs[best])]
    return {part for pair in found for part in (*pair, "".join(pair))}, [merge for merge in merges if merge in found]
