"""Candidates that a model writes, and where they stand in the target."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from ...errors import XltError, error
from ..boundaries import is_symbol
from ..spanwise import Search, not_knowing, text_of
from .ngrams import Range

FIELDS = {"span": "", "label": "", "sentence": ""}


class Generator:
    """A model that writes what a span may be in the target; what is not in there is rejected.

    engine (NBestTranslator): The model.
    prompt (str): What it is given, with {span}, {label} and {sentence}.
    beams (int): How many texts it writes for each span.
    projector (str): What to call the projector in errors.
    RAISES (XltError): E411 for an engine without `translate_n_best`, E401 for a prompt with other fields.
    """

    def __init__(self, engine: Any, *, prompt: str, beams: int, projector: str):
        if not callable(getattr(engine, "translate_n_best", None)):
            raise error("E411", projector=projector, engine=type(engine).__name__, method="translate_n_best")
        try:
            prompt.format(**FIELDS)
        except (KeyError, IndexError, ValueError, AttributeError) as err:
            expected = "a text with no other fields than {span}, {label} and {sentence}"
            raise error("E401", setting="prompt", value=prompt, expected=expected) from err
        self.engine = engine
        self.prompt = prompt
        self.beams = beams
        self.projector = projector

    @property
    def signature(self) -> str:
        return f"({self.prompt!r}|beams:{self.beams}|{self.engine.signature})"

    def places(self, searches: Sequence[Search], *, source: str, target: str) -> list[list[Range]]:
        """The places in the target of what the model writes for each span.

        RAISES (XltError): E410 where the model lacks the direction.
        """
        prompts = [self._prompt(search) for search in searches]
        different = list(dict.fromkeys(prompts))
        try:
            found = self.engine.translate_n_best(different, n=self.beams, source=source, target=target)
        except XltError as err:
            raise not_knowing(err, projector=self.projector, source=source, target=target) from err
        texts = {prompt: [t.text for t in best] for prompt, best in zip(different, found, strict=True)}
        return [
            list(dict.fromkeys(place for text in texts[prompt] for place in occurrences(search, text)))
            for search, prompt in zip(searches, prompts, strict=True)
        ]

    def _prompt(self, search: Search) -> str:
        doc = search.work.bitext.source
        sentence = text_of(doc, search.source_low, search.source_high)
        return self.prompt.format(span=search.text, label=search.label, sentence=sentence)


def occurrences(search: Search, text: str) -> Iterator[Range]:
    """Where a text stands in the span's target sentence, in lower case and without punctuation at its ends."""
    wanted = _letters(text)
    words = [_letters(token.text) for token in search.work.bitext.target[search.low : search.high]]
    for first, word in enumerate(words):
        if not wanted or not word or not wanted.startswith(word):
            continue
        joined = ""
        for last in range(first, len(words)):
            joined += words[last]
            if joined == wanted:
                yield search.low + first, search.low + last + 1
            if len(joined) >= len(wanted):
                break


def _letters(text: str) -> str:
    words = text.casefold().split()
    return "".join(c for word in words for c in word if not is_symbol(c))
