"""An encoder with random weights and a few hundred pieces, made in a second: for what depends on its shape alone."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path
from typing import Any

TEXTS = [
    "Maria Silva mora em Lisboa e trabalha no Banco Central .",
    "John Smith works for Google in New York , near http://www.example.com .",
    "abcdefghijklmnopqrstuvwxyz ABCDEFGHIJKLMNOPQRSTUVWXYZ 0123456789 / : . - _ ?",
]


def make_tiny_encoder(folder: Path, *, mask: bool = False, kind: str = "bert", tokenizer: Any = None) -> Path:
    """Write the model folder.

    mask (bool): Whether the tokenizer has a piece that masks.
    kind (str): The architecture, as `model_type` in a config.json.
    tokenizer (Tokenizer): Another one, with the same special pieces.
    RETURNS (Path): The folder, which AutoModel and AutoTokenizer load.
    """
    import torch
    from tokenizers import processors
    from transformers import AutoConfig, AutoModel, PreTrainedTokenizerFast

    tokenizer = tokenizer or _tokenizer(["<s>", "</s>", "<pad>", "<unk>", *(["<mask>"] if mask else [])])
    marks = [(mark, tokenizer.token_to_id(mark)) for mark in ("<s>", "</s>")]
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A </s>", special_tokens=marks)
    names = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>", "cls_token": "<s>"}
    if mask:
        names["mask_token"] = "<mask>"
    inputs = {"model_input_names": ["input_ids", "attention_mask"]} if kind == "distilbert" else {}
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=128, **names, **inputs)
    fast.save_pretrained(folder)
    torch.manual_seed(0)
    config = AutoConfig.for_model(
        kind,
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=32,
        num_hidden_layers=3,
        num_attention_heads=2,
        intermediate_size=64,
        # RoBERTa counts positions from behind its padding.
        max_position_embeddings=128 if kind == "bert" else 132,
        pad_token_id=tokenizer.token_to_id("<pad>"),
    )
    AutoModel.from_config(config).save_pretrained(folder)
    return folder


def _tokenizer(special: list[str]) -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    pieces = [*((mark, 0.0) for mark in special), *unigram_pieces(200)]
    tokenizer = Tokenizer(models.Unigram(pieces, special.index("<unk>")))
    tokenizer.add_special_tokens(special)
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    return tokenizer


def unigram_pieces(n: int) -> list[tuple[str, float]]:
    """Pieces of the texts and what they score: their characters and what is frequent, the same every time.

    A trainer of tokenizers would give others each time.
    """
    words = ["\u2581" + word for text in TEXTS for word in text.split()]
    counts = Counter(word[i:j] for word in words for i in range(len(word)) for j in range(i + 1, len(word) + 1))
    ranked = sorted(counts, key=lambda piece: (len(piece) > 1, -counts[piece] * len(piece), piece))[:n]
    total = sum(counts[piece] for piece in ranked)
    return [(piece, math.log(counts[piece] / total)) for piece in ranked]
