"""The pieces of another language, with vectors from word links."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..alignment.api import align_stream
from ..alignment.embedding import EmbeddingAligner
from ..device import loading
from ..errors import error
from ..io import check_new_folder
from ..links import Alignment
from ..protocols import TokenPair
from .counting import cut_words
from .models import embeddings, load, place_of_padding, write
from .pieces import Pieces, names_by_id
from .training import train_pieces

# Special pieces by what they do; those of a pair do it for each other
_ROLES = (("cls_token", "bos_token"), ("sep_token", "eos_token"), ("pad_token",), ("unk_token",), ("mask_token",))
# The layer whose vectors are compared, as in `EmbeddingAligner`, where a model has as many
_LAYER = 6


def transfer(
    model: str,
    pairs: Iterable[tuple[TokenPair, Alignment | None]],
    output: str | Path,
    *,
    tokenizer: str | Path | None = None,
    n_pieces: int = 16_000,
) -> dict[str, Any]:
    """Write an encoder with the pieces of another language (Remy et al. 2024, trans-tokenisation).

    A piece that the encoder has keeps its vector. The vector of any other is the mean of those of the pieces in the
    words that are linked to words which have it, by the number of links; the pieces of a word share its part. Without
    such a link it is the mean of the pieces that the old tokenizer cuts it into; without these, of all pieces.

    Args:
        model: A model folder, a Hugging Face name, or "bundled:NAME". Heads on top of it are not kept.
        pairs: Tokens of both sides, a language that the encoder knows first, and for each pair, or for none, its links.
            The others are made with the encoder itself.
        output: The model folder to write. It appears when it is complete.
        tokenizer: A folder with a tokenizer.json. Left out: one is trained on the second side.
        n_pieces: The most pieces of one that is trained.

    Returns:
        What was asked for, how many pieces got their vectors in which way, pieces and megabytes before and after.

    Raises:
        XltError: E553 where the folder is there already, E862 for texts without a link; E303, E860, E861 as
            `models.load`.
    """
    check_new_folder(output)
    encoder, old = load(model)
    given = Pieces(_load_tokenizer(tokenizer), str(tokenizer)) if tokenizer else None
    links: Counter[tuple[str, str]] = Counter()
    words: Counter[str] = Counter()
    for pair, alignment in _aligned(model, pairs, encoder):
        words.update(pair[1])
        links.update((pair[0][i], pair[1][j]) for i, j in alignment.check(*map(len, pair)).links.tolist())
    if not links:
        raise error("E862", reason="no word of them has a link")
    new = given or Pieces(train_pieces(old, words, n_pieces), model)
    new = _fitted(new, old, place_of_padding(encoder), str(tokenizer))
    vectors, ways = _vectors(old, new, links, embeddings(encoder))
    summary = {"made_by": "transfer", "model": model, "tokenizer": str(tokenizer) if tokenizer else None, **ways}
    return write(encoder, new.tokenizer, vectors, output, summary)


def _aligned(
    model: str, pairs: Iterable[tuple[TokenPair, Alignment | None]], encoder: Any
) -> Iterator[tuple[TokenPair, Alignment]]:
    """The pairs with their links, which the encoder makes where they are not given."""
    aligner = EmbeddingAligner(model=model, layer=min(_LAYER, encoder.config.num_hidden_layers), weak_links=None)
    for is_open, group in groupby(pairs, key=lambda item: item[1] is None):
        if is_open:
            yield from align_stream(aligner, (pair for pair, _ in group))
        else:
            yield from ((pair, alignment) for pair, alignment in group if alignment is not None)


def _load_tokenizer(place: str | Path) -> Any:
    from transformers import PreTrainedTokenizerFast

    if not (Path(place) / "tokenizer.json").is_file():
        raise error("E860", model=str(place), reason="it has no tokenizer.json")
    with loading("E303", model=str(place), setting="tokenizer"):
        tokenizer = PreTrainedTokenizerFast.from_pretrained(place)
    if tokenizer.pad_token is None:
        raise error("E860", model=str(place), reason="its tokenizer_config.json names no pad_token")
    return tokenizer


def _fitted(new: Pieces, old: Pieces, place: int | None, name: str) -> Pieces:
    """The new pieces for texts as long as the old ones', with the padding where the model needs it."""
    order = list(range(len(new.names)))
    padding = new.tokenizer.pad_token
    if place is not None and new.ids[padding] != place:
        if padding not in new.names or place >= len(order):
            raise error("E860", model=name, reason=f"its padding cannot have the id {place}, as the model needs it")
        i = new.names.index(padding)
        order[i], order[place] = place, i
    scores = [new.scores[i] for i in order] if new.scores else None
    names = [new.names[i] for i in order]
    return Pieces(new.with_pieces(names, scores=scores, settings_of=old.tokenizer), name)


def _vectors(
    old: Pieces, new: Pieces, links: Counter[tuple[str, str]], known: NDArray[np.float32]
) -> tuple[NDArray[np.float32], dict[str, int]]:
    """The vectors of the new pieces by id, and how many got them in which way."""
    names = names_by_id(new.backend)
    by_form = {old.plain(name): i for name, i in old.ids.items() if name not in old.special}
    of_role = _same_roles(old, new)
    linked, weight = _means_of_linked(old, new, links, known, len(names))
    vectors = np.empty((len(names), known.shape[1]), np.float32)
    mean = known.mean(axis=0, dtype=np.float64)
    ways = Counter({"kept": 0, "linked": 0, "cut": 0, "mean": 0})
    for i, name in enumerate(names):
        is_special = name in new.special
        same = of_role.get(name, old.ids.get(name)) if is_special else by_form.get(new.plain(name))
        if same is not None:
            way, vectors[i] = "kept", known[same]
        elif weight[i]:
            way, vectors[i] = "linked", linked[i]
        elif not is_special and (parts := old.cut(new.plain(name))):
            way, vectors[i] = "cut", known[parts].mean(axis=0, dtype=np.float64)
        else:
            way, vectors[i] = "mean", mean
        ways[way] += 1
    return vectors, dict(ways)


def _same_roles(old: Pieces, new: Pieces) -> dict[str, int]:
    """The id in the old tokenizer of what does the same as a special piece of the new one."""
    found: dict[str, int] = {}
    for role in _ROLES:
        for name in role:
            piece = getattr(new.tokenizer, name)
            others = (getattr(old.tokenizer, other) for other in (name, *role))
            other = next((other for other in others if other is not None), None)
            if piece is not None and other is not None:
                found.setdefault(piece, old.ids[other])
    return found


def _means_of_linked(
    old: Pieces, new: Pieces, links: Counter[tuple[str, str]], known: NDArray[np.float32], n_new: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """For each new piece the mean vector of what its words are linked to, (n_new, dim), and its links, (n_new,)."""
    from scipy.sparse import coo_array

    firsts = _ids_of_words(old, dict.fromkeys(first for first, _ in links))
    seconds = _ids_of_words(new, dict.fromkeys(second for _, second in links))
    rows, columns, shares = [], [], []
    for (first, second), n in links.items():
        for i in seconds[second]:
            for j in firsts[first]:
                rows.append(i)
                columns.append(j)
                shares.append(n / len(firsts[first]))
    together = coo_array((shares, (rows, columns)), shape=(n_new, len(known)), dtype=np.float64).tocsr()
    weight = np.asarray(together.sum(axis=1)).ravel()
    return together @ known.astype(np.float64) / np.maximum(weight, 1e-12)[:, None], weight


def _ids_of_words(pieces: Pieces, words: Iterable[str]) -> dict[str, list[int]]:
    """The pieces of words by themselves, without those that say nothing."""
    words, empty = list(words), pieces.empty
    cut = ([i for i in ids if i not in empty] for ids in cut_words(pieces.backend, words))
    return dict(zip(words, cut, strict=True))
