"""The pieces of a fast tokenizer: reading them out of its JSON, and making it anew with others."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from copy import deepcopy
from typing import Any

from ..alignment.encoder import BLANK
from ..errors import error

UNIGRAM, WORDPIECE, BPE = "Unigram", "WordPiece", "BPE"
# Bytes of characters that have no piece
_BYTE = re.compile(r"<0x[0-9A-F]{2}>")
# Settings of a tokenizer of transformers that its JSON does not hold
_SETTINGS = ("model_max_length", "model_input_names", "padding_side", "truncation_side", "clean_up_tokenization_spaces")


class Pieces:
    """The pieces of a fast tokenizer and what its model says of them.

    Args:
        tokenizer: Of transformers.
        model: Its name, for messages.

    Attributes:
        kind: "Unigram", "WordPiece" or "BPE".
        names: The pieces of its model, by id. Special ones may have ids behind them.
        scores: Of each, where it is a Unigram model.
        ids: The id of each piece, special ones included.
        added: Those that are found in a text before it is cut, most of them marks such as that of its beginning.
        special: These, the unknown one, and bytes that stand in for characters.
        empty: The ids of pieces that say nothing of a word: the unknown one, and the mark of a beginning alone.

    Raises:
        XltError: E860 for a tokenizer that cannot be changed.
    """

    def __init__(self, tokenizer: Any, model: str):
        if not tokenizer.is_fast:
            raise error("E860", model=model, reason="it has no tokenizer.json")
        self.model = model
        self.tokenizer = tokenizer
        self.backend = tokenizer.backend_tokenizer
        # A tokenizer.json may ask for either
        self.backend.no_truncation()
        self.backend.no_padding()
        self.state = json.loads(self.backend.to_str())
        self._json = self.state["model"]
        self.kind = self._json["type"]
        _check(self._json, model)
        vocab = self._json["vocab"]
        if self.kind == UNIGRAM:
            self.names = [name for name, _ in vocab]
            self.scores = [float(score) for _, score in vocab]
        else:
            self.names = sorted(vocab, key=vocab.__getitem__)
            self.scores = []
        self.ids: dict[str, int] = self.backend.get_vocab(with_added_tokens=True)
        self.added = {token["content"] for token in self.state["added_tokens"]}
        self.special = self.added | {name for name in self.names if _BYTE.fullmatch(name) or name == self.unknown}
        nothing = (self.unknown, BLANK, _CHARS[ord(" ")])
        self.empty = {self.ids[name] for name in nothing if name is not None and name in self.ids}
        self.is_byte_level = '"ByteLevel"' in json.dumps(self.state["pre_tokenizer"])

    @property
    def unknown(self) -> str | None:
        """The piece for what has none."""
        if self.kind != UNIGRAM:
            name: str | None = self._json["unk_token"]
            return name
        return None if self._json["unk_id"] is None else self.names[self._json["unk_id"]]

    @property
    def continuation(self) -> str:
        """What a WordPiece inside a word begins with; "" for other models."""
        return str(self._json["continuing_subword_prefix"]) if self.kind == WORDPIECE else ""

    @property
    def merges(self) -> list[tuple[str, str]]:
        """The merges of a BPE model, in order."""
        return [tuple(merge.split(" ") if isinstance(merge, str) else merge) for merge in self._json.get("merges", ())]

    def with_pieces(
        self,
        names: Sequence[str],
        *,
        scores: Sequence[float] | None = None,
        merges: Sequence[tuple[str, str]] | None = None,
        settings_of: Any = None,
    ) -> Any:
        """The tokenizer with other pieces, which get new ids; all else of it stays as it is.

        Args:
            names: The pieces of its model, by id. Special pieces that are not among them get the ids behind.
            scores: Of each piece of a Unigram model.
            merges: Of a BPE model; all where left out.
            settings_of: Another tokenizer, to read texts as long as it does.

        Returns:
            A `PreTrainedTokenizerFast`.
        """
        state = deepcopy(self.state)
        model = state["model"]
        if self.kind == UNIGRAM:
            model["vocab"] = [list(pair) for pair in zip(names, scores or (), strict=True)]
            model["unk_id"] = None if self.unknown is None else names.index(self.unknown)
        else:
            model["vocab"] = {name: i for i, name in enumerate(names)}
        if merges is not None:
            model["merges"] = [list(merge) for merge in merges]
        return tokenizer_of(state, names, self.tokenizer, settings_of=settings_of)

    def plain(self, piece: str) -> str:
        """The text of a piece, with ▁ before it where it begins a word, whatever the tokenizer is.

        Bytes that are no whole characters stay as they are written.
        """
        if self.kind == WORDPIECE:
            is_inside = piece.startswith(self.continuation)
            return piece.removeprefix(self.continuation) if is_inside else BLANK + piece
        if self.is_byte_level:
            try:
                return bytes(_BYTES[char] for char in piece).decode("utf8").replace(" ", BLANK)
            except (KeyError, UnicodeDecodeError):
                pass
        return piece

    def cut(self, plain: str) -> list[int]:
        """The ids of the pieces that a plain form is cut into, without what says nothing."""
        if self.kind == WORDPIECE:
            plain = plain.removeprefix(BLANK)
        elif self.is_byte_level:
            plain = "".join(_CHARS[byte] for byte in plain.replace(BLANK, " ").encode("utf8"))
        tokens = self.backend.model.tokenize(plain) if plain else []
        return [token.id for token in tokens if token.id not in self.empty]


def names_by_id(backend: Any) -> list[str]:
    """All pieces of a tokenizer of the library tokenizers, special ones included."""
    ids: dict[str, int] = backend.get_vocab(with_added_tokens=True)
    return sorted(ids, key=ids.__getitem__)


def _check(model: dict[str, Any], name: str) -> None:
    kind, reason = model["type"], ""
    if kind not in (UNIGRAM, WORDPIECE, BPE):
        reason = f"its pieces are of the kind {kind}"
    elif kind == BPE and (model.get("continuing_subword_prefix") or model.get("end_of_word_suffix")):
        reason = "its BPE marks the place of a piece in the word by a prefix or a suffix"
    if reason:
        raise error("E860", model=name, reason=reason)


def _renumber(processor: dict[str, Any] | None, ids: dict[str, int]) -> None:
    """Set the ids that a post-processor has of special pieces, in place."""
    if processor is None:
        return
    for inner in processor.get("processors", ()):
        _renumber(inner, ids)
    for name in ("sep", "cls"):
        if name in processor:
            processor[name] = [processor[name][0], ids[processor[name][0]]]
    special = processor.get("special_tokens")
    for token in special.values() if isinstance(special, dict) else ():
        token["ids"] = [ids[name] for name in token["tokens"]]


def tokenizer_of(state: dict[str, Any], names: Sequence[str], like: Any, *, settings_of: Any = None) -> Any:
    """Make a tokenizer out of its JSON.

    Args:
        state: The JSON. The ids of its special pieces are set.
        names: The pieces of its model, by id. Special pieces that are not among them get the ids behind.
        like: A tokenizer of transformers with the same special pieces.
        settings_of: What to take the length of texts and the like from; `like` where left out.

    Returns:
        A `PreTrainedTokenizerFast`.
    """
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerFast

    ids = {name: i for i, name in enumerate(names)}
    for token in state["added_tokens"]:
        token["id"] = ids.setdefault(token["content"], len(ids))
    # They are read by id
    state["added_tokens"].sort(key=lambda token: token["id"])
    _renumber(state["post_processor"], ids)
    settings = {name: getattr(settings_of or like, name) for name in _SETTINGS}
    # Left out, it would be set to False in the JSON
    settings["add_prefix_space"] = getattr(like, "add_prefix_space", False)
    backend = Tokenizer.from_str(json.dumps(state))
    return PreTrainedTokenizerFast(tokenizer_object=backend, **like.special_tokens_map, **settings)


def _byte_chars() -> dict[int, str]:
    """The characters that byte-level tokenizers (Radford et al. 2019) write bytes as: those that can be seen are
    themselves, and the others get the next ones from U+0100 on."""
    seen = {*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)}
    others = [byte for byte in range(256) if byte not in seen]
    return {byte: chr(byte) for byte in seen} | {byte: chr(256 + i) for i, byte in enumerate(others)}


_CHARS = _byte_chars()
_BYTES = {char: byte for byte, char in _CHARS.items()}
