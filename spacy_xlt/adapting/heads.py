"""Heads that guess pieces from vectors: the one that a model was pretrained with, or else one made here."""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from ..alignment.pretrained import count_layers
from ..device import loading
from ..hub import located
from .model import AdaptedModel

_NAME = "masked"
# What heads that take vectors and give scores of pieces are called: BERT's, and those of RoBERTa and its kin
_OWN = ("cls", "lm_head")


def masked_head(model: AdaptedModel, texts: Iterable[NDArray[np.integer]]) -> MaskedHead:
    """The head of a model that guesses pieces, the same for all objectives.

    Args:
        model: Gets the head where it has none yet.
        texts: The pieces of texts, among which those to guess will be.
    """
    if _NAME not in model.heads:
        model.heads[_NAME] = MaskedHead(model)
    head = cast(MaskedHead, model.heads[_NAME])
    if head.own is None:
        head.pieces = np.unique(np.concatenate([head.pieces, *texts])).astype(np.int64)
    return head


class MaskedHead(nn.Module):
    """Guesses pieces from vectors.

    Where the folder of a model has the head that it was pretrained with, and all layers are kept, that is trained, and
    written with the model. Else it is BERT's (Devlin et al. 2019) with scores for those pieces alone that the texts
    have, so that a vocabulary of 250,002 pieces costs nothing: what is made from a vector is compared with the model's
    own vectors of pieces. It begins as the identity, the same every time, and is not written.

    Attributes:
        own: The head that belongs to the model.
        pieces: The pieces that have scores, ascending: int64, (n_scores,).
        mask: The piece that stands for one to be guessed; the unknown one where the tokenizer has none.
    """

    def __init__(self, model: AdaptedModel):
        super().__init__()
        names = (model.encoder.tokenizer.special_tokens_map.get(name) for name in ("mask_token", "unk_token"))
        ids = (model.encoder.tokenizer.convert_tokens_to_ids(str(name)) for name in names if name)
        self.mask = next((int(i) for i in ids if i < model.encoder.vocabulary), model.encoder.pad)
        self.own = _own_head(model)
        self.pieces: NDArray[np.int64] = np.arange(0 if self.own is None else model.encoder.vocabulary)
        # A method and no module, so that the vectors of pieces do not count as the head's
        self._embeddings = model.encoder.model.get_input_embeddings
        if self.own is None:
            n_pieces, size = self._embeddings().weight.shape
            self.dense, self.norm = nn.Linear(model.encoder.dim, size), nn.LayerNorm(size)
            self.bias = nn.Parameter(torch.zeros(n_pieces))
            nn.init.eye_(self.dense.weight)
            nn.init.zeros_(self.dense.bias)

    def forward(self, vectors: torch.Tensor) -> torch.Tensor:
        """Scores of `pieces` for each vector, (n, dim): float, (n, n_scores)."""
        if self.own is not None:
            return cast(torch.Tensor, self.own(vectors))
        pieces = torch.from_numpy(self.pieces).to(vectors.device)
        guessed = self.norm(nn.functional.gelu(self.dense(vectors)))
        return nn.functional.linear(guessed, self._embeddings().weight[pieces], self.bias[pieces])

    def loss(self, vectors: torch.Tensor, pieces: NDArray[np.integer]) -> torch.Tensor:
        """The mean cross-entropy of guessing a piece, (n,), from each vector, (n, dim): float, ()."""
        right = torch.from_numpy(np.searchsorted(self.pieces, pieces)).to(vectors.device)
        return nn.functional.cross_entropy(self(vectors), right)


def _own_head(model: AdaptedModel) -> nn.Module | None:
    """The head in a model's folder, tied to the vectors of pieces that are trained; None where there is none."""
    from transformers import AutoModelForMaskedLM

    encoder = model.encoder.model
    architectures = encoder.config.architectures or [""]
    if not architectures[0].endswith("ForMaskedLM") or model.encoder.layer < count_layers(model.name):
        return None
    place = located(model.name, "E303", setting="model")
    with loading("E303", model=model.name, setting="model"):
        whole, info = AutoModelForMaskedLM.from_pretrained(place, output_loading_info=True, trust_remote_code=False)
    names = [name for name, _ in whole.named_children() if name != whole.base_model_prefix]
    if len(names) != 1 or names[0] not in _OWN or any(key.startswith(names[0]) for key in info["missing_keys"]):
        return None
    setattr(whole, whole.base_model_prefix, encoder)
    whole.tie_weights()
    model.whole = whole
    return cast(nn.Module, getattr(whole, names[0]))
