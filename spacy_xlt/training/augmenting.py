"""What augmenters share: an example made anew, and several of them in a row."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example

from ..errors import error
from .examples import Augmenter, bare_doc


def checked_share(setting: str, value: float) -> float:
    """A setting that is a share.

    RAISES (XltError): E601 where it is not a number from 0 to 1.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1:
        raise error("E601", setting=setting, value=value, expected="a share from 0 to 1")
    return float(value)


def example_like(nlp: Language, old: Example, reference: Doc) -> Example:
    """An example with another reference: its own tokens for the pipeline where the old one had them, else its text's.

    nlp (Language): The pipeline that is trained.
    old (Example): What the reference was made from.
    reference (Doc): The annotated document.
    """
    own = [token.text for token in old.predicted] == [token.text for token in old.reference]
    return Example(bare_doc(nlp, reference, own_tokens=own), reference)


class ChainedAugmenters:
    """Several augmenters, each applied to all that the ones before it made.

    One that has to see the text as it was built (its attribute `before_others`) goes first, wherever it stands.

    augmenters (Mapping[str, Augmenter | None]): By name, in order; None for one that is switched off.
    """

    def __init__(self, augmenters: Mapping[str, Augmenter | None]):
        used = {name: augmenter for name, augmenter in augmenters.items() if augmenter is not None}
        # Sorting keeps the order of those that are equal
        self.names = sorted(used, key=lambda name: not getattr(used[name], "before_others", False))
        self.augmenters = [used[name] for name in self.names]

    def __call__(self, nlp: Language, example: Example) -> Iterator[Example]:
        """Yield what the last augmenter makes."""
        yield from self._apply(nlp, example, 0)

    def _apply(self, nlp: Language, example: Example, first: int) -> Iterator[Example]:
        if first == len(self.augmenters):
            yield example
            return
        for made in self.augmenters[first](nlp, example):
            yield from self._apply(nlp, made, first + 1)


def create_chain_augmenters(augmenters: Mapping[str, Any]) -> ChainedAugmenters:
    """Registered augmenter `spacy_xlt.chain_augmenters.v1`: several augmenters, each a block with a name.

    RAISES (XltError): E601 for something that is no augmenter.
    """
    for name, augmenter in augmenters.items():
        if augmenter is not None and not callable(augmenter):
            raise error(
                "E601", setting=f"augmenters.{name}", value=augmenter, expected='a block with "@augmenters", or null'
            )
    return ChainedAugmenters(augmenters)
