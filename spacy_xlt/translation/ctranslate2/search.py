"""Texts through a converted model: cut into parts, in groups that may become equally long, put together again."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...device import batches_by_length
from ...protocols import SoftAlignment, Translation
from ...tokens import has_text
from ..bergamot.splitting import split_pieces, windows_of
from ..bergamot.vocab import Pieces
from .model import Model, Told

# A single word may well become several: so many pieces more than the factor allows
_ROOM = 10
# Longest translations are rounded up to this, so that texts of similar length can share a batch. They never depend on
# the other texts of a batch: neither does what comes out.
_STEP = 8


@dataclass(frozen=True)
class Found:
    """A translation of a part of a text: its own pieces, their summed log-probability, whether it was cut off."""

    ids: list[int]
    score: float
    truncated: bool


@dataclass(frozen=True)
class Search:
    """How to search.

    beam_size, n_best (int): Hypotheses to follow and to return.
    batch_tokens (int): The most source pieces of a batch.
    max_pieces (int): The most pieces of a part.
    max_length_factor (float): The most pieces of a translation for each of the source.
    """

    beam_size: int
    n_best: int
    batch_tokens: int
    max_pieces: int
    max_length_factor: float


def translate(
    model: Model, told: Told, texts: Sequence[str], prefixes: Sequence[str], search: Search, *, gap: str
) -> list[list[Translation]]:
    """Translate texts.

    prefixes (Sequence[str]): What each translation begins with; "" for anything.
    gap (str): What stands between the parts of a text in the target language.
    RETURNS (list[list[Translation]]): At least one for each text, the best first. Of a text in several parts only one.
    """
    limit = min(search.max_pieces, model.limit - len(told.before) - len(told.after) - 1)
    parts: list[Pieces] = []
    owners: list[int] = []
    begun: list[list[int]] = []
    forced = model.target.encode(prefixes)
    for i, pieces in enumerate(model.source.encode(texts)):
        cut = split_pieces(pieces, texts[i], limit=limit) if has_text(texts[i]) else []
        parts += cut
        owners += [i] * len(cut)
        begun += [forced[i].ids.tolist() if k == 0 else [] for k in range(len(cut))]
    grouped: list[list[tuple[list[int], list[Found]]]] = [[] for _ in texts]
    for owner, start, hypotheses in zip(owners, begun, _search(model, told, parts, begun, search), strict=True):
        grouped[owner].append((start, hypotheses))
    return [_join(model, group, gap=gap) for group in grouped]


def _search(
    model: Model, told: Told, parts: Sequence[Pieces], begun: Sequence[list[int]], search: Search
) -> list[list[Found]]:
    groups: dict[int, list[int]] = {}
    for i, part in enumerate(parts):
        longest = math.ceil(search.max_length_factor * len(part)) + _ROOM + len(told.first) + len(begun[i])
        groups.setdefault(-(-longest // _STEP) * _STEP, []).append(i)
    ids = {token: i for i, token in enumerate(model.target_tokens)}
    result: list[list[Found]] = [[] for _ in parts]
    for longest, members in sorted(groups.items(), reverse=True):
        first = [[*told.first, *(model.target_tokens[piece] for piece in begun[i])] for i in members]
        found = model.translator.translate_batch(
            [_source(model, told, parts[i]) for i in members],
            target_prefix=first if any(first) else None,
            max_batch_size=search.batch_tokens,
            batch_type="tokens",
            beam_size=search.beam_size,
            num_hypotheses=search.n_best,
            max_input_length=0,
            min_decoding_length=0,
            max_decoding_length=min(longest, model.limit - 1),
            return_scores=True,
            return_end_token=True,
        )
        for i, given, one in zip(members, first, found, strict=True):
            result[i] = [
                _found(tokens, score, ids, n_given=len(given), end=model.end)
                for tokens, score in zip(one.hypotheses, one.scores, strict=True)
            ]
    return result


def _found(tokens: list[str], score: float, ids: dict[str, int], *, n_given: int, end: str) -> Found:
    own = tokens[n_given:]
    ended = bool(own) and own[-1] == end
    # The score is the mean over the pieces
    return Found([ids[token] for token in (own[:-1] if ended else own)], score * len(tokens), not ended)


def _join(model: Model, group: list[tuple[list[int], list[Found]]], *, gap: str) -> list[Translation]:
    if not group:
        return [Translation("")]
    if len(group) == 1:
        begun, hypotheses = group[0]
        different: dict[str, Translation] = {}
        for one in hypotheses:
            text = model.target.decode([*begun, *one.ids])
            different.setdefault(text, _translation(text, [one]))
        return list(different.values())
    best = [hypotheses[0] for _, hypotheses in group]
    texts = [model.target.decode([*begun, *found[0].ids]) for begun, found in group]
    return [_translation(gap.join(text for text in texts if text), best)]


def _translation(text: str, parts: Sequence[Found]) -> Translation:
    n_pieces = max(1, sum(len(part.ids) + (not part.truncated) for part in parts))
    flags = ("truncated",) if any(part.truncated for part in parts) else ()
    return Translation(text, sum(part.score for part in parts) / n_pieces, flags)


def _source(model: Model, told: Told, pieces: Pieces) -> list[str]:
    return [*told.before, *(model.source_tokens[i] for i in pieces.ids.tolist()), *told.after]


def log_probabilities(
    model: Model, told: Told, sources: Sequence[str], targets: Sequence[str], *, max_pieces: int, batch_tokens: int
) -> NDArray[np.float32]:
    """How probable given translations are: float32, (n,), natural, summed over pieces and the end mark."""
    limit = min(max_pieces, model.limit - len(told.before) - len(told.after) - len(told.first) - 2)
    read, written = model.source.encode(sources), model.target.encode(targets)
    windows = [w for i in range(len(sources)) for w in windows_of(i, len(read[i]), len(written[i]), limit=limit)]
    scores = np.zeros(len(sources), np.float64)
    found = model.translator.score_batch(
        [_source(model, told, read[w.pair][w.source]) for w in windows],
        [[*told.first, *(model.target_tokens[i] for i in written[w.pair].ids[w.target].tolist())] for w in windows],
        max_batch_size=batch_tokens,
        batch_type="tokens",
        max_input_length=0,
    )
    for window, one in zip(windows, found, strict=True):
        # The pieces of the window and the end mark, which counts only where the text ends
        n_own = window.target.stop - window.target.start
        own = one.log_probs[-n_own - 1 :]
        ends = window.target.stop == len(written[window.pair])
        scores[window.pair] += sum(own if ends else own[:-1])
    return scores.astype(np.float32)


def attention(
    model: Model, told: Told, sources: Sequence[str], targets: Sequence[str], *, max_pieces: int, batch_tokens: int
) -> list[SoftAlignment]:
    """How given translations look at their sources: the decoder is made to write each of them."""
    limit = min(max_pieces, model.limit - len(told.before) - len(told.after) - len(told.first) - 2)
    read, written = model.source.encode(sources), model.target.encode(targets)
    windows = [w for i in range(len(sources)) for w in windows_of(i, len(read[i]), len(written[i]), limit=limit)]
    weights = [np.zeros((len(s), len(t)), np.float32) for s, t in zip(read, written, strict=True)]
    # Batches by the longer side: nothing is to be written behind the longest translation of a batch
    for batch in batches_by_length([window.length for window in windows], batch_tokens=batch_tokens):
        forced = [written[w.pair].ids[w.target].tolist() for w in (windows[k] for k in batch)]
        found = model.translator.translate_batch(
            [_source(model, told, read[windows[k].pair][windows[k].source]) for k in batch],
            target_prefix=[[*told.first, *(model.target_tokens[i] for i in ids)] for ids in forced],
            beam_size=1,
            max_input_length=0,
            max_decoding_length=len(told.first) + max(len(ids) for ids in forced) + 1,
            return_attention=True,
        )
        for k, ids, one in zip(batch, forced, found, strict=True):
            window, start = windows[k], len(told.first)
            n_source = window.source.stop - window.source.start
            if ids and n_source:
                own = np.asarray(one.attention[0][start : start + len(ids)], np.float32)
                weights[window.pair][window.source, window.target] = own[
                    :, len(told.before) : len(told.before) + n_source
                ].T
    return [SoftAlignment(w, s.spans, t.spans) for w, s, t in zip(weights, read, written, strict=True)]
