"""Text-to-text models with random weights, and a pipeline of `xlt_seq2seq_ner` that learns its examples by heart."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import spacy
from spacy.language import Language

from helpers.tiny_encoder import TEXTS, unigram_pieces
from helpers.tiny_ner import SENTENCES, Annotated, make_examples

_SIZE: dict[str, Any] = {"d_model": 32, "encoder_layers": 2, "decoder_layers": 2, "max_position_embeddings": 256}
_SIZE |= {"encoder_attention_heads": 2, "decoder_attention_heads": 2, "encoder_ffn_dim": 64, "decoder_ffn_dim": 64}


def make_text_to_text(
    folder: Path, kind: str = "mt5", *, byte_level: bool = False, seed: int = 0, **settings: Any
) -> Path:
    """Write a model folder that drops nothing.

    kind (str): "t5", "mt5", "umt5", "bart" or "mbart".
    byte_level (bool): Whether words behind a space have other pieces than those at the beginning, as in BART.
    RETURNS (Path): The folder, which AutoModelForSeq2SeqLM and AutoTokenizer load.
    """
    import torch
    from transformers import AutoConfig, AutoModelForSeq2SeqLM

    tokenizer = _byte_level() if byte_level else _unigram()
    tokenizer.save_pretrained(folder)
    shape: dict[str, Any] = {
        "d_model": 32,
        "d_kv": 16,
        "d_ff": 64,
        "num_layers": 2,
        "num_heads": 2,
        "dropout_rate": 0.0,
    }
    if "bart" in kind:
        shape = {**_SIZE, "dropout": 0.0, "forced_eos_token_id": None}
    marks = {"pad_token_id": 0, "eos_token_id": 1, "bos_token_id": 0, "decoder_start_token_id": 0}
    torch.manual_seed(seed)
    config = AutoConfig.for_model(kind, vocab_size=len(tokenizer), **{**shape, **marks, **settings})
    AutoModelForSeq2SeqLM.from_config(config).save_pretrained(folder)
    return folder


def _unigram() -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    special = ["<pad>", "</s>", "<unk>"]
    pieces = [*((mark, 0.0) for mark in special), *unigram_pieces(200)]
    tokenizer = Tokenizer(models.Unigram(pieces, special.index("<unk>")))
    tokenizer.add_special_tokens(special)
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    names = {"pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names)


def _byte_level() -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    special = ["<pad>", "</s>", "<unk>", "<s>"]
    trainer = trainers.BpeTrainer(
        vocab_size=350, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(TEXTS, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 3), ("</s>", 1)]
    )
    names = {"pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>", "bos_token": "<s>"}
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names)


def make_labeller(
    model: Path, *, examples: Sequence[Annotated] = SENTENCES, init: Any = None, **settings: Any
) -> Language:
    """An initialized pipeline."""
    nlp = spacy.blank("en")
    nlp.add_pipe("xlt_seq2seq_ner", config=settings)
    nlp.config["initialize"]["components"]["xlt_seq2seq_ner"] = {"model": str(model), **(init or {})}
    nlp.initialize(lambda: make_examples(nlp, examples))
    return nlp


def labeller_of(nlp: Language) -> Any:
    return nlp.get_pipe("xlt_seq2seq_ner")
