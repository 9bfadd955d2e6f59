"""Translation models of each family with random weights, few pieces and the right tokenizer class, made in a second.

Their output means nothing; how they are told the languages, cut texts and are searched is that of the real ones.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from sentencepiece import SentencePieceProcessor, SentencePieceTrainer

from helpers.paths import ASSETS

N_PIECES = 300
MADLAD_TAGS = ["<2en>", "<2pt>", "<2es>"]
MARIAN_TAGS = [">>por<<", ">>spa<<"]
# Large weights, so that the outputs differ from text to text
_SHAPE: dict[str, Any] = {
    "d_model": 32,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
    "encoder_ffn_dim": 64,
    "decoder_ffn_dim": 64,
    "max_position_embeddings": 128,
    "init_std": 0.6,
    "dropout": 0.0,
}


class Maker:
    """Makes each model once: `maker("nllb")` is its folder.

    folder (Path): Where the models' folders will be.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self.pieces = train_pieces(folder)

    def __call__(self, name: str) -> Path:
        made = self.folder / name
        if not made.exists():
            _MAKERS[name](made, self.pieces)
        return made


def train_pieces(folder: Path) -> Path:
    """RETURNS (Path): A SentencePiece model of English and Portuguese news."""
    lines = []
    for name in ("newstest2019-src.eng.txt", "newstest2019-ref.por-BR.txt"):
        lines += (ASSETS / "ntrex" / name).read_text(encoding="utf8").splitlines()[:150]
    SentencePieceTrainer.Train(
        sentence_iterator=iter(lines),
        model_prefix=str(folder / "pieces"),
        vocab_size=N_PIECES,
        character_coverage=1.0,
        num_threads=1,
        minloglevel=2,
    )
    return folder / "pieces.model"


def make_nllb(folder: Path, pieces: Path, *, fast: bool = True) -> Path:
    """NLLB-200, with the fast tokenizer that the real ones come with, or the slow one."""
    from transformers import NllbTokenizer, NllbTokenizerFast

    if fast:
        tokenizer: Any = NllbTokenizerFast(tokenizer_object=_fast(pieces, ["<s>", "<pad>", "</s>", "<unk>"], offset=3))
    else:
        tokenizer = NllbTokenizer(vocab_file=str(pieces))
    tokenizer.save_pretrained(folder)
    return _save_m2m100(folder, len(tokenizer))


def make_m2m100(folder: Path, pieces: Path) -> Path:
    """M2M100."""
    from transformers import M2M100Tokenizer

    tokenizer = M2M100Tokenizer(vocab_file=str(_fairseq_vocab(folder, pieces)), spm_file=str(pieces))
    tokenizer.save_pretrained(folder)
    return _save_m2m100(folder, max(tokenizer.lang_token_to_id.values()) + 9)


def make_mbart50(folder: Path, pieces: Path) -> Path:
    """mBART-50."""
    from transformers import MBart50TokenizerFast, MBartConfig, MBartForConditionalGeneration

    tokenizer = MBart50TokenizerFast(tokenizer_object=_fast(pieces, ["<s>", "<pad>", "</s>", "<unk>"], offset=3))
    tokenizer.save_pretrained(folder)
    torch.manual_seed(1)
    config = MBartConfig(vocab_size=len(tokenizer), decoder_start_token_id=2, forced_eos_token_id=None, **_SHAPE)
    MBartForConditionalGeneration(config).save_pretrained(folder)
    return folder


def make_marian(folder: Path, pieces: Path, *, tags: bool = False, source: str = "en", target: str = "pt") -> Path:
    """OPUS-MT, for one target language or with tags for several."""
    from transformers import MarianConfig, MarianMTModel, MarianTokenizer

    processor = SentencePieceProcessor(model_file=str(pieces))
    names = ["</s>", "<unk>", *(processor.id_to_piece(i) for i in range(3, len(processor)))]
    names += [*(MARIAN_TAGS if tags else []), "<pad>"]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps({name: i for i, name in enumerate(names)}))
    for side in ("source", "target"):
        shutil.copy(pieces, folder / f"{side}.spm")
    tokenizer = MarianTokenizer(
        str(folder / "source.spm"),
        str(folder / "target.spm"),
        str(folder / "vocab.json"),
        source_lang=source,
        target_lang=target,
    )
    tokenizer.save_pretrained(folder)
    torch.manual_seed(2)
    pad = len(names) - 1
    config = MarianConfig(
        vocab_size=len(names),
        pad_token_id=pad,
        decoder_start_token_id=pad,
        eos_token_id=0,
        forced_eos_token_id=None,
        **_SHAPE,
    )
    model = MarianMTModel(config)
    model.generation_config.bad_words_ids = [[pad]]
    # The end must come now and then
    model.final_logits_bias[0, 0] = 6.0
    model.save_pretrained(folder)
    return folder


def make_t5(folder: Path, pieces: Path, *, madlad: bool = False, sentinels: int = 0, **settings: Any) -> Path:
    """T5, and MADLAD-400, which is T5 with language tags in its vocabulary.

    sentinels: How many slots there can be in a text, `<extra_id_0>` and on.
    """
    from tokenizers import processors
    from transformers import T5Config, T5ForConditionalGeneration, T5TokenizerFast

    special = ["<pad>", "</s>", "<unk>"]
    backend = _fast(pieces, special, offset=3, extra=MADLAD_TAGS if madlad else [])
    backend.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    tokenizer = T5TokenizerFast(tokenizer_object=backend, extra_ids=sentinels)
    tokenizer.save_pretrained(folder)
    torch.manual_seed(3)
    shape = {"d_model": 32, "d_kv": 16, "d_ff": 64, "num_layers": 2, "num_heads": 2, "initializer_factor": 3.0}
    config = T5Config(
        vocab_size=len(tokenizer),
        decoder_start_token_id=0,
        tie_word_embeddings=False,
        dropout_rate=0.0,
        **{**shape, **settings},
    )
    T5ForConditionalGeneration(config).save_pretrained(folder)
    return folder


def _save_m2m100(folder: Path, vocab_size: int) -> Path:
    from transformers import M2M100Config, M2M100ForConditionalGeneration

    torch.manual_seed(0)
    config = M2M100Config(vocab_size=vocab_size, decoder_start_token_id=2, **_SHAPE)
    M2M100ForConditionalGeneration(config).save_pretrained(folder)
    return folder


def _fairseq_vocab(folder: Path, pieces: Path) -> Path:
    processor = SentencePieceProcessor(model_file=str(pieces))
    names = ["<s>", "<pad>", "</s>", "<unk>", *(processor.id_to_piece(i) for i in range(3, len(processor)))]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps({name: i for i, name in enumerate(names)}))
    return folder / "vocab.json"


def _fast(pieces: Path, special: list[str], *, offset: int, extra: list[str] | None = None) -> Any:
    """The SentencePiece model as a fast tokenizer."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    processor = SentencePieceProcessor(model_file=str(pieces))
    vocabulary = [(name, 0.0) for name in special]
    vocabulary += [(processor.id_to_piece(i), processor.get_score(i)) for i in range(offset, len(processor))]
    tokenizer = Tokenizer(models.Unigram(vocabulary, unk_id=special.index("<unk>")))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.add_special_tokens(special)
    tokenizer.add_tokens([AddedToken(tag, normalized=False) for tag in extra or []])
    return tokenizer


_MAKERS: dict[str, Callable[[Path, Path], Path]] = {
    "nllb": make_nllb,
    "nllb-slow": partial(make_nllb, fast=False),
    "m2m100": make_m2m100,
    "mbart50": make_mbart50,
    "opus-mt-en-pt": make_marian,
    "opus-mt-en-itc": partial(make_marian, tags=True, target="itc"),
    "madlad": partial(make_t5, madlad=True),
    "t5": make_t5,
    "t5-slots": partial(make_t5, sentinels=100, initializer_factor=1.0),
    "t5-tasks": partial(
        make_t5, task_specific_params={"translation_en_to_de": {"prefix": "translate English to German: "}}
    ),
}
