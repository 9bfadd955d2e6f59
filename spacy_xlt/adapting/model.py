"""The model that is adapted: sentences as pieces, vectors of words, heads, and the folder that is written."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..alignment.encoder import Encoder
from ..alignment.pretrained import count_layers
from ..alignment.word_vectors import TextVectors
from ..device import loading
from ..engine import invalid_setting
from ..errors import error
from ..hub import located
from ..modelfolder import write_encoder
from ..protocols import Tokens
from ..translation.huggingface import load_weights, read_files

if TYPE_CHECKING:
    import torch

# A sentence: ids of its pieces, without special ones, and which word each is of, ascending; int32, (n_pieces,) both
Side = tuple[NDArray[np.int32], NDArray[np.int32]]

# Named in errors
_ADAPT = "spacy xlt adapt"
_UNBOUNDED = 1 << 20
# What the loss of transformers' models leaves out
_IGNORED = -100


class AdaptedModel:
    """An encoder and the heads that objectives train beside it.

    Args:
        name: A model folder, a Hugging Face name, or "bundled:NAME".
        layers: How many layers to keep, from the bottom; all where None.
        max_pieces: Longer sentences are left out; fewer where the model cannot read as many.

    Attributes:
        encoder: Gives vectors of the pieces, from the last layer kept.
        heads: Modules by name: a `torch.nn.ModuleDict`.
        whole: What is written: the encoder, or a model around it that has one of the heads as its own.

    Raises:
        XltError: E353 for a model that cannot be adapted; E302 and E303 as `EmbeddingAligner`.
    """

    def __init__(self, name: str, *, layers: int | None, max_pieces: int):
        import torch
        from thinc.api import get_torch_default_device

        self.name = name
        self.encoder = Encoder(name, count_layers(name) if layers is None else layers)
        _check_model(self.encoder.model, name)
        self.encoder.model.to(get_torch_default_device())
        self.max_pieces = min(max_pieces, self.encoder.window)
        self.special = len(self.encoder.prefix) + len(self.encoder.suffix)
        self.heads = torch.nn.ModuleDict()
        self.whole = self.encoder.model
        self._pieces: dict[str, list[int]] = {}

    @property
    def device(self) -> torch.device:
        """Where the encoder is."""
        return self.encoder.model.device

    def side(self, tokens: Tokens) -> Side | None:
        """A sentence as pieces; None for one without text, or that is too long."""
        self._pieces |= self.encoder.pieces(word for word in tokens if word not in self._pieces)
        counts = [len(self._pieces[word]) for word in tokens]
        if not 0 < sum(counts) <= self.max_pieces:
            return None
        ids = np.asarray([piece for word in tokens for piece in self._pieces[word]], np.int32)
        return ids, np.repeat(np.arange(len(tokens), dtype=np.int32), counts)

    def pieces(self, ids: Sequence[NDArray[np.integer]]) -> torch.Tensor:
        """Vectors of all pieces of some texts, one text behind the other, without special ones: (n_pieces, dim)."""
        import torch

        hidden = self.encoder.forward(ids)
        first = len(self.encoder.prefix)
        return torch.cat([hidden[row, first : first + len(text)] for row, text in enumerate(ids)])

    def words(self, sides: Iterable[Side]) -> TextVectors:
        """Unit vectors of words, as `EmbeddingAligner` compares them: means of pieces, less the sentence's mean."""
        ids, owners = zip(*sides, strict=True)
        return TextVectors(self.pieces(ids), owners).averaged().centred().normalised()

    def texts(self, ids: Sequence[NDArray[np.integer]]) -> torch.Tensor:
        """A unit vector of each text, the mean of its pieces: (n_texts, dim)."""
        owners = [np.zeros(len(text), np.int32) for text in ids]
        return TextVectors(self.pieces(ids), owners).averaged().normalised().vectors

    def module(self) -> torch.nn.Module:
        """All that is trained."""
        import torch

        return torch.nn.ModuleDict({"model": self.encoder.model, "heads": self.heads})

    def write(self, folder: Path) -> None:
        """Write the encoder, and the head that is its own, as an ordinary model folder."""
        # To train a part of the encoder may have parted what is tied
        self.whole.tie_weights()
        write_encoder(self.whole, self.encoder.tokenizer, folder)


class Seq2SeqModel:
    """A sequence-to-sequence model that is adapted as a whole.

    Args:
        name: A model folder or a Hugging Face name.
        max_pieces: Longer sentences are left out; fewer where the model cannot read as many.

    Attributes:
        heads: As of `AdaptedModel`.
        special: How many special pieces a text has.
        window: The most pieces that the model reads or writes, special ones counted.

    Raises:
        XltError: E221 for a model that cannot be loaded or is none.
    """

    def __init__(self, name: str, *, max_pieces: int):
        import torch
        from thinc.api import get_torch_default_device

        place = located(name, "E221", engine=_ADAPT)
        with loading("E221", engine=_ADAPT, model=name):
            config, _, self.tokenizer = read_files(place)
            self.model = load_weights(_ADAPT, place, config, torch.float32).to(get_torch_default_device())
        self.name = name
        self.special = self.tokenizer.num_special_tokens_to_add()
        # T5's positions are relative
        self.window = int(getattr(config, "max_position_embeddings", None) or _UNBOUNDED)
        self.max_pieces = min(max_pieces, self.window - self.special)
        self.heads = torch.nn.ModuleDict()

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return self.model.device

    def set_language(self, language: str | None) -> None:
        """Say what language texts are in, as the tokenizer calls it. Those of T5 and Marian are told none.

        Raises:
            XltError: E150 for one that it does not know.
        """
        if hasattr(self.tokenizer, "src_lang"):
            known = getattr(self.tokenizer, "lang_code_to_token", None) or self.tokenizer.get_vocab()
            if language not in known:
                expected = f"what the tokenizer of {self.name} calls the language, such as en_XX, eng_Latn or en"
                raise invalid_setting(_ADAPT, "language", language, expected)
            self.tokenizer.src_lang = self.tokenizer.tgt_lang = language

    def loss(self, texts: list[str], wanted: list[str]) -> torch.Tensor:
        """The mean cross-entropy of writing what is wanted for each text: float, ()."""
        settings = {"padding": True, "truncation": True, "max_length": self.window, "return_tensors": "pt"}
        rows = self.tokenizer(texts, text_target=wanted, **settings).to(self.device)
        labels = rows["labels"].masked_fill(rows["labels"] == self.tokenizer.pad_token_id, _IGNORED)
        output = self.model(input_ids=rows["input_ids"], attention_mask=rows["attention_mask"], labels=labels)
        return output.loss

    def module(self) -> torch.nn.Module:
        """All that is trained."""
        import torch

        return torch.nn.ModuleDict({"model": self.model, "heads": self.heads})

    def write(self, folder: Path) -> None:
        """Write the model as an ordinary model folder."""
        self.model.tie_weights()
        write_encoder(self.model, self.tokenizer, folder)


def _check_model(model: Any, name: str) -> None:
    from transformers import MODEL_MAPPING

    mapping: Any = MODEL_MAPPING
    if mapping.get(type(model.config), None) is not type(model):
        raise error("E353", model=name, reason="it is a part of a larger model")
