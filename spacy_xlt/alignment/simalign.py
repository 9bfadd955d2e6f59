"""The simalign package behind the interface of the aligners: one pair at a time, the oracle of the faster engine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from tempfile import TemporaryDirectory
from threading import Lock
from typing import Any

import numpy as np

from .. import bundled
from ..device import first_line, is_out_of_memory, refuse_model_code
from ..engine import Engine, setting
from ..errors import error
from ..hub import located
from ..links import Alignment
from ..protocols import PairContext, TokenPair, Tokens
from ..tokens import has_text

_LETTERS = {"inter": "a", "itermax": "i", "mwmf": "m"}


@dataclass(kw_only=True, eq=False)
class SimAlignAligner(Engine):
    """Links words with the `simalign` package (Jalili Sabet et al. 2020).

    It reads a pair at a time, runs all layers and gives links without scores (each is 1). Texts beyond the position
    limit of the model are an error; `EmbeddingAligner` takes them, and gives the same links for the others.

    Args:
        model: A model folder, a Hugging Face name, or "bundled:NAME", which is put into a temporary folder to load.
        layer: The layer whose vectors of word pieces are compared.
        method: "inter", "itermax" or "mwmf".

    Raises:
        XltError: E150 for an invalid setting.
    """

    model: str = "bundled:encoder"
    layer: int = setting(6, ge=0)
    method: str = setting("inter", choices=tuple(_LETTERS))

    def __post_init__(self) -> None:
        super().__post_init__()
        self._aligner: Any = None
        # The package and the tokenizer in it are for one thread at a time
        self._lock = Lock()

    def details(self) -> dict[str, Any]:
        """The version of simalign."""
        return {"simalign": version("simalign")}

    @property
    def aligner(self) -> Any:
        """simalign's own aligner, loaded at first use.

        Raises:
            XltError: E302 where there is no such layer, E303 where the model cannot be loaded.
        """
        if self._aligner is None:
            if self.model.startswith(bundled.PREFIX):
                with TemporaryDirectory() as folder:
                    name = self.model[len(bundled.PREFIX) :]
                    self._aligner = self._load(str(bundled.write(name, folder)))
            else:
                self._aligner = self._load(located(self.model, "E303", setting="model"))
        return self._aligner

    def _load(self, folder: str) -> Any:
        from simalign import SentenceAligner
        from thinc.api import get_torch_default_device

        letter, device = _LETTERS[self.method], str(get_torch_default_device())
        try:
            refuse_model_code(folder)
            aligner = SentenceAligner(model=folder, matching_methods=letter, device=device, layer=self.layer)
        # What a broken folder raises depends on the library that meets it
        except Exception as err:
            raise error("E303", model=self.model, setting="model", reason=first_line(err)) from err
        n_layers = aligner.embed_loader.emb_model.config.num_hidden_layers
        if self.layer > n_layers:
            raise error("E302", model=self.model, layer=self.layer, known=n_layers)
        return aligner

    def align(self, pairs: Sequence[TokenPair], *, contexts: Sequence[PairContext] | None = None) -> list[Alignment]:
        """Link the words of pairs; `contexts` is not used.

        Raises:
            XltError: E305 for a pair that simalign cannot read, such as one beyond the model's position limit.
        """
        with self._lock:
            return [self._align_pair(source, target) for source, target in pairs]

    def _align_pair(self, source: Tokens, target: Tokens) -> Alignment:
        # simalign fails on tokens without pieces
        rows = [i for i, token in enumerate(source) if has_text(token)]
        columns = [j for j, token in enumerate(target) if has_text(token)]
        if not rows or not columns:
            return Alignment()
        words = [source[i] for i in rows], [target[j] for j in columns]
        aligner = self.aligner
        try:
            self._check_length(*words)
            links = aligner.get_word_aligns(*words)[self.method]
        except (IndexError, ValueError, RuntimeError) as err:
            if is_out_of_memory(err):
                raise
            raise error("E305", n_source=len(source), n_target=len(target), reason=err) from err
        return Alignment(np.asarray([(rows[i], columns[j]) for i, j in links], np.int32).reshape(-1, 2))

    def _check_length(self, *sides: Tokens) -> None:
        """Refuse what simalign would cut without a word."""
        tokenizer = self.aligner.embed_loader.tokenizer
        for tokens in sides:
            pieces = len(tokenizer(list(tokens), is_split_into_words=True, verbose=False)["input_ids"])
            if pieces > tokenizer.model_max_length:
                raise ValueError(f"{pieces} pieces, and the model reads {tokenizer.model_max_length}")
