"""Augmenters: contractions taken apart, other letters, and several in a row."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example

from ..docs import Replacement, edit
from ..engine import Engine, invalid_setting, setting
from ..errors import error
from ..translation.contractions import TABLES
from ..transliteration import choice, transliterated, writer
from .windows import bare_doc


def example_like(nlp: Language, old: Example, reference: Doc) -> Example:
    """An example with another reference: its tokens for the pipeline where the old one's were, else its text's."""
    own = [token.text for token in old.predicted] == [token.text for token in old.reference]
    return Example(bare_doc(nlp, reference, own_tokens=own), reference)


@dataclass(kw_only=True, eq=False)
class ChainedAugmenters(Engine):
    """Registered augmenter `spacy_xlt.chain_augmenters.v1`: each applied to all that the ones before it made.

    Args:
        augmenters: By name, in order; None for one that is switched off.

    Raises:
        XltError: E150 for something that is no augmenter.
    """

    augmenters: Mapping[str, Any]

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, augmenter in self.augmenters.items():
            if augmenter is not None and not callable(augmenter):
                expected = 'a block with "@augmenters", or null'
                raise invalid_setting("spacy_xlt.chain_augmenters.v1", f"augmenters.{name}", augmenter, expected)

    def __call__(self, nlp: Language, example: Example) -> Iterator[Example]:
        """Yield what the last augmenter makes."""
        examples: Iterable[Example] = [example]
        for augmenter in self.augmenters.values():
            if augmenter is not None:
                examples = [made for example in examples for made in augmenter(nlp, example)]
        yield from examples


@dataclass(kw_only=True, eq=False)
class SplitContractions(Engine):
    """Registered augmenter `spacy_xlt.split_contractions.v1`: some documents with their contractions taken apart.

    Treebanks take "da" apart into "de" and "a", and a translation does not: where the pipeline is to read both, it
    should see both.

    Args:
        lang: Language of the table.
        share: Share of the documents that are changed, drawn at random; the others stay as they are.

    Raises:
        XltError: E606 for a language without a table, unless the share is 0; E150 for an invalid share.
    """

    lang: str = "pt"
    share: float = setting(0.5, ge=0, le=1)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.share and self.lang not in TABLES:
            raise error("E606", lang=self.lang, known=", ".join(sorted(TABLES)))

    def __call__(self, nlp: Language, example: Example) -> Iterator[Example]:
        """Yield the example, or what it becomes."""
        if random.random() >= self.share:
            yield example
            return
        yield example_like(nlp, example, split_contractions(example.reference, TABLES[self.lang]))


def split_contractions(doc: Doc, table: Mapping[str, tuple[str, str]]) -> Doc:
    """A copy of a document in which contractions are two words; entities, also missing ones, span groups and sentences
    are kept.

    An entity or span that begins with a contraction then begins after it: of "da Fazenda", "Fazenda" is the name.

    Args:
        doc: The document.
        table: Contraction in lower case → its words. The case of the first letter, or of all letters, is carried over.
    """
    parts = {token.i: words for token in doc if len(words := _split(token.text, table)) > 1}
    replacements = [
        Replacement(i, i + 1, words, [True] * len(words), [doc[i].ent_iob == 0] * len(words))
        for i, words in parts.items()
    ]
    return edit(doc, replacements, start_of=lambda span: span.start + (len(span) > 1 and span.start in parts))


def _split(word: str, table: Mapping[str, tuple[str, str]]) -> Sequence[str]:
    parts = table.get(word.lower())
    if parts is None:
        return [word]
    if word.islower():
        return parts
    # "Da" → "De a", "DA" → "DE A"
    if len(word) > 1 and word.isupper():
        return [part.upper() for part in parts]
    return [parts[0].capitalize(), *parts[1:]]


@dataclass(kw_only=True, eq=False)
class Transliterate(Engine):
    """Registered augmenter `spacy_xlt.transliterate.v1`: a share of the documents in other letters, token by token.

    In Latin letters with the package uroman (Hermjakob et al. 2018): pip install 'spacy-xlt[romanise]', or by a table
    of one's own. Tokens, spaces, sentences, entities (also missing ones), span groups and every other annotation stay
    as they are. A token that is written in these letters already keeps them, and so does one of which nothing would be
    left. It is also registered as `spacy_xlt.romanise.v1`.

    Args:
        share: Share of the documents that are changed, drawn at random.
        table: File of a table of letters, see `transliteration.read_table`; null for Latin letters.
        lang: For Latin letters: language of the documents, where its own way to read them matters (Ukrainian "г" is
            "h").
        strip_marks: For Latin letters: also take the marks off, "São" → "Sao".
        words: File of words: only these.
        tags: Parts of speech or tags, where the documents have them: only words that have one. Entity labels are taken
            as well, but letters by these would show the pipeline in training what it has to find by itself later.
        others: All words but those of `words` and `tags`.

    Raises:
        XltError: E150 for an invalid setting; unless the share is 0, E010 for an unknown language, E106 where uroman is
            missing, E502, E568, E577 and others for the files, as `transliteration.writer` and `choice`.
    """

    share: float = setting(0.3, ge=0, le=1)
    table: str | Path | None = None
    lang: str | None = None
    strip_marks: bool = False
    words: str | Path | None = None
    tags: Sequence[str] | None = None
    others: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.share:
            self._write = writer(table=self.table, lang=self.lang, strip_marks=self.strip_marks)
            self._chosen = choice(words=self.words, tags=self.tags, others=self.others)

    def __call__(self, nlp: Language, example: Example) -> Iterator[Example]:
        """Yield the example, or what it becomes."""
        if random.random() >= self.share:
            yield example
            return
        reference = transliterated(example.reference, self._write, self._chosen)
        yield example if reference is example.reference else example_like(nlp, example, reference)
