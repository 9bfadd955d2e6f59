"""An encoder with small changes to its matrices that make the vectors of translated words alike."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from ...errors import error
from ..encoder import Encoder


class AdaptedEncoder(Encoder):
    """An encoder whose matrices are changed once, when it is loaded: running it costs what it cost before.

    Each change is a product of two thin matrices (Hu et al. 2021, LoRA).

    model (str): A model folder, a Hugging Face name, or "bundled:NAME".
    layer (int): The highest layer to run.
    changes (Mapping[str, float]): "NAME.up" (out, rank) and "NAME.down" (rank, in) for each module of the model that
        is changed.
    precision (str): As for `Encoder`.
    RAISES (XltError): As `Encoder`; E321 where a change does not fit the model.
    """

    def __init__(
        self, model: str, layer: int, *, changes: Mapping[str, NDArray[np.floating]], precision: str = "float32"
    ):
        import torch

        super().__init__(model, layer, precision=precision)
        parameters = dict(self.model.named_parameters())
        with torch.no_grad():
            for name in sorted({key.rsplit(".", 1)[0] for key in changes}):
                change = changes[f"{name}.up"].astype(np.float32) @ changes[f"{name}.down"].astype(np.float32)
                weight = parameters.get(f"{name}.weight")
                if weight is None or tuple(weight.shape) != change.shape:
                    found = "nothing" if weight is None else tuple(weight.shape)
                    raise error("E321", model=model, name=name, expected=change.shape, found=found)
                weight.add_(torch.from_numpy(change))
