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
from ..errors import error
from ..hub import located
from ..modelfolder import write_encoder
from ..protocols import Tokens

if TYPE_CHECKING:
    import torch

# A sentence: ids of its pieces, without special ones, and which word each is of, ascending; int32, (n_pieces,) both
Side = tuple[NDArray[np.int32], NDArray[np.int32]]

_MASKED = "masked"
# What heads that take vectors and give scores of pieces are called: BERT's, and those of RoBERTa and its kin
_HEADS = ("cls", "lm_head")


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

    def masked_head(self) -> torch.nn.Module:
        """The head that the model was pretrained with to guess hidden pieces, tied to the vectors of pieces.

        It gives scores of all pieces for vectors, (n, dim): float, (n, n_pieces). The same for all objectives; it is
        trained and written.

        Raises:
            XltError: E353 where there is none, or where not all layers are kept.
        """
        if _MASKED not in self.heads:
            self.whole, self.heads[_MASKED] = _with_masked_head(self.encoder, self.name)
        return self.heads[_MASKED]

    def module(self) -> torch.nn.Module:
        """All that is trained."""
        import torch

        return torch.nn.ModuleDict({"model": self.encoder.model, "heads": self.heads})

    def write(self, folder: Path) -> None:
        """Write the encoder, and the head that is its own, as an ordinary model folder."""
        # To train a part of the encoder may have parted what is tied
        self.whole.tie_weights()
        write_encoder(self.whole, self.encoder.tokenizer, folder)


def _check_model(model: Any, name: str) -> None:
    from transformers import MODEL_MAPPING

    mapping: Any = MODEL_MAPPING
    if mapping.get(type(model.config), None) is not type(model):
        raise error("E353", model=name, reason="it is a part of a larger model")


def _with_masked_head(encoder: Encoder, name: str) -> tuple[Any, Any]:
    """The model in a folder around the encoder that is trained, and its head."""
    from transformers import AutoModelForMaskedLM

    architectures = encoder.model.config.architectures or [""]
    if not architectures[0].endswith("ForMaskedLM") or encoder.tokenizer.mask_token_id is None:
        raise error("E353", model=name, reason="it has no masked-language head, by which hidden words are guessed")
    if encoder.layer < count_layers(name):
        raise error(
            "E353", model=name, reason="its masked-language head needs all layers, and `layers` leaves some out"
        )
    place = located(name, "E303", setting="model")
    with loading("E303", model=name, setting="model"):
        whole, info = AutoModelForMaskedLM.from_pretrained(place, output_loading_info=True, trust_remote_code=False)
    names = [child for child, _ in whole.named_children() if child != whole.base_model_prefix]
    if len(names) != 1 or names[0] not in _HEADS or any(key.startswith(names[0]) for key in info["missing_keys"]):
        raise error("E353", model=name, reason=f"its masked-language head ({', '.join(names)}) is of another kind")
    setattr(whole, whole.base_model_prefix, encoder.model)
    whole.tie_weights()
    return whole, getattr(whole, names[0])
