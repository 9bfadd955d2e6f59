"""Tokenizers of a few hundred pieces, of each kind: Unigram, WordPiece, and BPE on bytes."""

from __future__ import annotations

from typing import Any

WORDS = "Maria mora em Lisboa Mary lives in Lisbon John works New York Москва ёлка елка"
SPECIAL = ["<s>", "<pad>", "</s>", "<unk>"]
_MARK = "\u2581"


def make_tokenizer(kind: str) -> Any:
    """A tokenizer of the library tokenizers; the special pieces come first."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

    if kind == "Unigram":
        # Longer ones are better
        scores = {name: -9.0 - i / 1000 for i, name in enumerate(_parts(WORDS))}
        vocab = [*((mark, 0.0) for mark in SPECIAL), *scores.items()]
        tokenizer = Tokenizer(models.Unigram(vocab, SPECIAL.index("<unk>")))
        tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
    elif kind == "WordPiece":
        names = [name[1:] if name[0] == _MARK else f"##{name}" for name in _parts(WORDS) if name != _MARK]
        ids = {name: i for i, name in enumerate([*SPECIAL, *names])}
        tokenizer = Tokenizer(models.WordPiece(ids, unk_token="<unk>"))
        tokenizer.normalizer = normalizers.BertNormalizer(lowercase=False)
        tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.BertPreTokenizer(), decoders.WordPiece()
    else:
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.ByteLevel(), decoders.ByteLevel()
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        trainer = trainers.BpeTrainer(
            vocab_size=330, special_tokens=SPECIAL, initial_alphabet=alphabet, show_progress=False
        )
        tokenizer.train_from_iterator([WORDS], trainer)
    tokenizer.add_special_tokens(SPECIAL)
    return tokenizer


def _parts(text: str) -> list[str]:
    """The characters of words, and what they have of two to four."""
    words = [_MARK + word for word in text.split()]
    found = {word[i : i + n]: n for word in words for n in (1, 2, 3, 4) for i in range(len(word) - n + 1)}
    return sorted(found, key=lambda part: (found[part], part))
