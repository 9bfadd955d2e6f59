"""`spacy_xlt.chain_callbacks.v1`: several callbacks in a place of the config that takes one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from spacy.language import Language

Callback = Callable[[Language], Language | None]


class ChainedCallbacks:
    """Calls one after the other, in the order of the config.

    callbacks (Mapping[str, Callback | None]): By a name of their own, so that a part of a config can add one, or set
        one to null that it does not want.
    """

    def __init__(self, callbacks: Mapping[str, Callback | None]):
        self.callbacks = {name: callback for name, callback in callbacks.items() if callback is not None}

    def __call__(self, nlp: Language) -> Language:
        for callback in self.callbacks.values():
            # Those of `before_init` return nothing.
            nlp = callback(nlp) or nlp
        return nlp


def create_chained_callbacks(callbacks: dict[str, Any]) -> ChainedCallbacks:
    """Registered callback `spacy_xlt.chain_callbacks.v1`, for `[initialize.before_init]`, `[initialize.after_init]` and
    the other places whose callbacks take the pipeline. See ChainedCallbacks."""
    return ChainedCallbacks(callbacks)
