"""A causal language model with random weights, whose tokens are characters, made in a second."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from tokenizers.decoders import Fuse
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Split
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

CHARACTERS = "abcdefghijklmnopqrstuvwxyz .,<>:"
TEMPLATE = (
    "{% for m in messages %}<{{ m['role'] }}>{{ m['content'] }}{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)


def make_tiny_causal(folder: Path, *, template: str | None = TEMPLATE, longest: int = 128) -> Path:
    """Its answers mean nothing, and differ from prompt to prompt."""
    vocabulary = {token: i for i, token in enumerate(["[PAD]", "[EOS]", "[UNK]", *CHARACTERS])}
    backend = Tokenizer(WordLevel(vocabulary, unk_token="[UNK]"))
    backend.pre_tokenizer = Split("", "isolated")
    backend.decoder = Fuse()
    tokenizer: Any = PreTrainedTokenizerFast(
        tokenizer_object=backend, eos_token="[EOS]", unk_token="[UNK]", clean_up_tokenization_spaces=False
    )
    tokenizer.chat_template = template
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=longest,
        initializer_range=0.6,
        bos_token_id=None,
        eos_token_id=1,
        pad_token_id=None,
    )
    model: Any = LlamaForCausalLM(config)
    # As many real models have it: what is greedy must not sample
    model.generation_config.do_sample = True
    model.generation_config.temperature = 3.0
    model.generation_config.repetition_penalty = 1.5
    model.save_pretrained(folder)
    return folder
