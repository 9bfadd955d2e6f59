"""The simalign package behind the interface of the aligners: one pair at a time, the oracle of the faster engine."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from .. import bundled
from ..device import is_out_of_memory
from ..errors import error
from ..links import Alignment
from ..protocols import PairContext, TokenPair, Tokens
from ..tokens import has_text

_LETTERS = {"inter": "a", "itermax": "i", "mwmf": "m"}
_TOKEN_TYPES = ("bpe", "word")


def make_simalign_aligner(
    *,
    model: str = "bundled:encoder",
    layer: int = 6,
    method: str = "inter",
    token_type: str = "bpe",
) -> SimAlignAligner:
    """Make the aligner from a config. The settings are those of `SimAlignAligner`."""
    return SimAlignAligner(model, layer=layer, method=method, token_type=token_type)


class SimAlignAligner:
    """Links words with the `simalign` package (Jalili Sabet et al. 2020).

    It reads a pair at a time, runs all layers and gives links without scores (each is 1). Texts beyond the position
    limit of the model are an error; `EmbeddingAligner` takes them, and gives the same links for the others.

    model (str): A model folder, a Hugging Face name, or "bundled:NAME", which is put into a temporary folder to load.
    layer (int): The layer whose vectors are compared.
    method (str): "inter", "itermax" or "mwmf".
    token_type (str): "bpe" to compare pieces of words, "word" to compare their averages.
    RAISES (XltError): E301 for an unknown method or token type.
    """

    def __init__(
        self, model: str = "bundled:encoder", *, layer: int = 6, method: str = "inter", token_type: str = "bpe"
    ):
        for setting, value, known in (("method", method, tuple(_LETTERS)), ("token_type", token_type, _TOKEN_TYPES)):
            if value not in known:
                raise error("E301", setting=setting, value=value, known=", ".join(known))
        self.model = str(model)
        self.layer = layer
        self.method = method
        self.token_type = token_type
        self._aligner: Any = None

    @property
    def signature(self) -> str:
        """Model, settings and the version of simalign in one line."""
        settings = f"layer:{self.layer}|method:{self.method}|token_type:{self.token_type}"
        return f"SimAlignAligner|model:{self.model}|{settings}|simalign:{version('simalign')}"

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_aligner": None}

    @property
    def aligner(self) -> Any:
        """simalign's own aligner, loaded at first use.

        RAISES (XltError): E302 where there is no such layer, E303 where the model cannot be loaded.
        """
        if self._aligner is None:
            if self.model.startswith(bundled.PREFIX):
                with TemporaryDirectory() as folder:
                    name = self.model[len(bundled.PREFIX) :]
                    self._aligner = self._load(str(bundled.write(name, folder)))
            else:
                self._aligner = self._load(self.model)
        return self._aligner

    def _load(self, folder: str) -> Any:
        from simalign import SentenceAligner
        from thinc.api import get_torch_default_device

        try:
            aligner = SentenceAligner(
                model=folder,
                token_type=self.token_type,
                matching_methods=_LETTERS[self.method],
                device=str(get_torch_default_device()),
                layer=self.layer,
            )
        # What a broken folder raises depends on the library that meets it
        except Exception as err:
            reason = (str(err) or type(err).__name__).splitlines()[0]
            raise error("E303", model=self.model, reason=reason) from err
        known = aligner.embed_loader.emb_model.config.num_hidden_layers
        if not 0 <= self.layer <= known:
            raise error("E302", model=self.model, layer=self.layer, known=known)
        return aligner

    def align(self, pairs: Sequence[TokenPair], *, contexts: Sequence[PairContext] | None = None) -> list[Alignment]:
        """Link the words of pairs.

        contexts: Not used.
        RAISES (XltError): E305 for a pair that simalign cannot read, such as one beyond the model's position limit.
        """
        return [self._align_pair(source, target) for source, target in pairs]

    def _align_pair(self, source: Tokens, target: Tokens) -> Alignment:
        # simalign fails on tokens without pieces
        rows = [i for i, token in enumerate(source) if has_text(token)]
        columns = [j for j, token in enumerate(target) if has_text(token)]
        if not rows or not columns:
            return Alignment()
        words = [source[i] for i in rows], [target[j] for j in columns]
        self._check_length(*words)
        try:
            found = self.aligner.get_word_aligns(*words)
        except (IndexError, ValueError, RuntimeError) as err:
            if is_out_of_memory(err):
                raise
            raise error("E305", n_source=len(source), n_target=len(target), reason=err) from err
        links = [(rows[i], columns[j]) for i, j in found[self.method]]
        return Alignment(np.asarray(links, np.int32).reshape(-1, 2))

    def _check_length(self, source: Tokens, target: Tokens) -> None:
        """Refuse what simalign would cut without a word."""
        tokenizer = self.aligner.embed_loader.tokenizer
        limit = tokenizer.model_max_length
        for tokens in (source, target):
            # A piece has a byte at least, and a mark for the word's start may be one more
            if sum(len(token.encode("utf8")) + 1 for token in tokens) < limit - 2:
                continue
            pieces = len(tokenizer(list(tokens), is_split_into_words=True, verbose=False)["input_ids"])
            if pieces > limit:
                reason = f"{pieces} pieces, and the model reads {limit}"
                raise error("E305", n_source=len(source), n_target=len(target), reason=reason)
