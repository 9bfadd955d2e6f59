"""Pieces for a language, from its words."""

from __future__ import annotations

import json
import math
from collections import Counter
from copy import deepcopy
from typing import Any

import numpy as np

from ..alignment.encoder import BLANK
from ..errors import error
from .counting import cut_words
from .pieces import UNIGRAM, Pieces, names_by_id, tokenizer_of

# Times that words are cut and pieces counted
_ROUNDS = 3


def train_pieces(like: Pieces, words: Counter[str], n_pieces: int) -> Any:
    """Train a Unigram tokenizer with the normaliser and the special pieces of another one.

    The pieces are those of BPE (Sennrich et al. 2016), and their scores the logarithms of how often words are cut into
    them, counted anew a few times. The Unigram trainer of the library tokenizers finds others each time.

    Args:
        like: The other one.
        words: How often each comes.
        n_pieces: The most pieces, special ones included; but every character is one.

    Returns:
        A `PreTrainedTokenizerFast`.

    Raises:
        XltError: E860 where the other one has no piece for what is unknown.
    """
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

    unknown = like.unknown or like.tokenizer.unk_token
    if unknown is None:
        raise error("E860", model=like.model, reason="it has no piece for what is unknown")
    special = sorted({*like.added, unknown}, key=like.ids.__getitem__)
    cutter, bpe = Tokenizer(models.Unigram()), Tokenizer(models.BPE())
    cutter.pre_tokenizer, cutter.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
    # No piece goes over the edge of a word
    bpe.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Metaspace(), pre_tokenizers.Punctuation()])
    # Some tokenizers put the marks of words into the text itself
    marks_words = BLANK in json.dumps(like.state["normalizer"], ensure_ascii=False)
    usual = None if marks_words else like.backend.normalizer
    cutter.normalizer = bpe.normalizer = usual or normalizers.NFKC()
    trainer = trainers.BpeTrainer(
        vocab_size=max(1, n_pieces - len(special)), min_frequency=2, special_tokens=[], show_progress=False
    )
    bpe.train_from_iterator(words.elements(), trainer)
    names = [*special, *(name for name in names_by_id(bpe) if name not in special)]
    made = json.loads(cutter.to_str())
    state = {**deepcopy(like.state), **{key: made[key] for key in ("normalizer", "pre_tokenizer", "decoder")}}
    if (state["post_processor"] or {}).get("type") == "ByteLevel":
        state["post_processor"] = None
    backend = bpe
    for _ in range(_ROUNDS):
        counts = _counts(backend, words)
        total = sum(counts.values()) + len(names)
        vocab = [[name, 0.0 if name in special else math.log((counts[name] + 1) / total)] for name in names]
        state["model"] = {"type": UNIGRAM, "unk_id": names.index(unknown), "vocab": vocab, "byte_fallback": False}
        tokenizer = tokenizer_of(deepcopy(state), names, like.tokenizer)
        backend = tokenizer.backend_tokenizer
    return tokenizer


def _counts(backend: Any, words: Counter[str]) -> Counter[str]:
    """How often words are cut into each piece."""
    names = names_by_id(backend)
    counts = np.zeros(len(names), np.int64)
    for ids, n in zip(cut_words(backend, words), words.values(), strict=True):
        np.add.at(counts, ids, n)
    return Counter(dict(zip(names, counts.tolist(), strict=True)))
