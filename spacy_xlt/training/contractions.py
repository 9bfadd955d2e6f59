"""`spacy_xlt.split_contractions.v1`: write a text as treebanks do, which take "da" apart into "de" and "a"."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence

from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example

from ..docs import Replacement
from ..docs import edit as replaced
from ..errors import error
from ..translation.contractions import TABLES
from .augmenting import example_like

Augmenter = Callable[[Language, Example], Iterator[Example]]


def create_split_contractions(lang: str = "pt", share: float = 0.5) -> Augmenter:
    """Registered augmenter `spacy_xlt.split_contractions.v1`: some documents with their contractions taken apart.

    A translation is natural text, and treebanks are not: where the pipeline is to read both, it should see both.

    lang (str): Language of the table.
    share (float): Share of the documents that are changed, drawn at random; the others stay as they are.
    RAISES (XltError): E606 for a language without a table, unless the share is 0; E601 for a share that cannot be.
    """
    if share and lang not in TABLES:
        raise error("E606", lang=lang, known=", ".join(sorted(TABLES)))
    if not 0 <= share <= 1:
        raise error("E601", setting="share", value=share, expected="a share from 0 to 1")

    def augment(nlp: Language, example: Example) -> Iterator[Example]:
        if random.random() >= share:
            yield example
            return
        yield example_like(nlp, example, split_contractions(example.reference, TABLES[lang]))

    return augment


def split_contractions(doc: Doc, table: Mapping[str, tuple[str, str]]) -> Doc:
    """A copy of a document in which contractions are two words; entities, also missing ones, span groups and sentences
    are kept.

    An entity or span that begins with a contraction then begins after it: of "da Fazenda", "Fazenda" is the name.

    table (Mapping[str, tuple[str, str]]): Contraction in lower case → its words. The case of the first letter, or of
        all letters, is carried over.
    """
    parts = {token.i: words for token in doc if len(words := _split(token.text, table)) > 1}
    replacements = [
        Replacement(i, i + 1, words, [True] * len(words), [doc[i].ent_iob == 0] * len(words))
        for i, words in parts.items()
    ]
    return replaced(doc, replacements, start_of=lambda span: span.start + (len(span) > 1 and span.start in parts))


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
