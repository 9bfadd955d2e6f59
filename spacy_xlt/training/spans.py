"""`spacy_xlt.ents_to_spans.v1`: train `spancat` on a corpus that has entities only."""

from __future__ import annotations

from collections.abc import Iterator

from spacy.language import Language
from spacy.training import Example

from ..docs import copy_ents
from ..errors import error, warn


class EntsToSpans:
    """Gives each example its entities as a span group. What has the group already is not changed.

    A document in which entities are missing is left out and counted: to `spancat` every span that is not in the group
    is a wrong one.

    key (str): Name of the span group, `spans_key` of `spancat`.
    """

    def __init__(self, *, key: str = "sc"):
        if not isinstance(key, str) or not key:
            raise error("E601", setting="key", value=key, expected="the name of a span group")
        self.key = key
        self.left_out = 0

    def __call__(self, nlp: Language, example: Example) -> Iterator[Example]:
        """Yield the example with the group."""
        if copy_ents(example.reference, self.key):
            yield example
            return
        self.left_out += 1
        if self.left_out == 1:
            warn("W633")


def create_ents_to_spans(key: str = "sc") -> EntsToSpans:
    """Registered augmenter `spacy_xlt.ents_to_spans.v1`. See EntsToSpans. With others: spacy_xlt.chain_augmenters.v1.

    RAISES (XltError): E601 for a value that cannot be.
    """
    return EntsToSpans(key=key)
