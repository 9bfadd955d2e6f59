"""The encoders' tokenizer: XLM-R's unigram vocabulary as a fast tokenizer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .e5file import E5File

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_SPECIAL = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}
_MASK = "<mask>"
_MARK = "\u2581"
# A code point of a private use area: no text has it, and no normalisation touches it.
_PLACEHOLDER = 0xF0000


def tokenizer_settings(file: E5File) -> dict[str, Any]:
    """What `PreTrainedTokenizerFast` is told beside the tokenizer itself."""
    return {
        "model_max_length": file.header.positions,
        "model_input_names": ["input_ids", "attention_mask"],
        "clean_up_tokenization_spaces": False,
        **_SPECIAL,
        "cls_token": "<s>",
        "sep_token": "</s>",
        "mask_token": _MASK,
    }


def build_tokenizer(file: E5File) -> Tokenizer:
    """Make the tokenizer of an encoder file: text → `<s> pieces </s>`."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors

    header = file.header
    tokenizer = Tokenizer(models.Unigram(file.pieces, unk_id=header.unk, byte_fallback=False))
    tokenizer.normalizer = _normalizer(file.normalisation)
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement=_MARK, prepend_scheme="always")
    tokenizer.decoder = decoders.Metaspace(replacement=_MARK, prepend_scheme="always")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>",
        pair="<s> $A </s> </s> $B </s>",
        special_tokens=[("<s>", header.bos), ("</s>", header.eos)],
    )
    special = [AddedToken(piece, special=True, normalized=False) for piece in _SPECIAL.values()]
    # A mask stands for a word with the space before it
    mask = AddedToken(_MASK, special=True, normalized=False, lstrip=True)
    tokenizer.add_special_tokens([*special, mask])
    return tokenizer


def _normalizer(table: dict[int, str]) -> Any:
    """NFKC, except for the code points where SentencePiece's table differs from it; then runs of spaces become one."""
    from tokenizers import Regex, normalizers

    nfkc = normalizers.NFKC()
    removed: list[str] = []
    spaces: list[str] = []
    for code_point, replacement in table.items():
        if replacement in {"", " "} and nfkc.normalize_str(chr(code_point)) != replacement:
            (spaces if replacement else removed).append(chr(code_point))
    # U+FF5E, a wave dash in much Japanese text, is a piece of its own although NFKC makes it a tilde
    kept = [chr(0xFF5E)] if 0xFF5E not in table else []
    steps = [normalizers.Replace(Regex(_any_of(removed)), ""), normalizers.Replace(Regex(_any_of(spaces)), " ")]
    steps += [normalizers.Replace(char, chr(_PLACEHOLDER + i)) for i, char in enumerate(kept)]
    steps.append(nfkc)
    steps += [normalizers.Replace(chr(_PLACEHOLDER + i), char) for i, char in enumerate(kept)]
    steps.append(normalizers.Replace(Regex(" {2,}"), " "))
    return normalizers.Sequence(steps)


def _any_of(chars: list[str]) -> str:
    return "[" + "".join(f"\\x{{{ord(char):X}}}" for char in chars) + "]"
