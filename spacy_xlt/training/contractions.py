"""`spacy_xlt.split_contractions.v1`: write a text as treebanks do, which take "da" apart into "de" and "a"."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence

from spacy.language import Language
from spacy.tokens import Doc, Span
from spacy.training import Example

from ..errors import error

# Contraction → its words, as in the Universal Dependencies treebanks of Portuguese. Where the same letters are also
# another word ("nos" as a pronoun, "pela" as a verb), the contraction is by far the more frequent.
_DEMONSTRATIVES = "este esta estes estas esse essa esses essas aquele aquela aqueles aquelas isto isso aquilo".split()
_PRONOUNS = "ele ela eles elas".split()
_PORTUGUESE: dict[str, tuple[str, str]] = {
    **{f"d{article}": ("de", article) for article in ("o", "a", "os", "as")},
    **{f"n{article}": ("em", article) for article in ("o", "a", "os", "as")},
    **{f"pel{article}": ("por", article) for article in ("o", "a", "os", "as")},
    **{f"a{article}": ("a", article) for article in ("o", "os")},
    **{"à": ("a", "a"), "às": ("a", "as")},
    **{f"n{article}": ("em", article) for article in ("um", "uma", "uns", "umas")},
    **{f"d{word}": ("de", word) for word in [*_DEMONSTRATIVES, *_PRONOUNS]},
    **{f"n{word}": ("em", word) for word in [*_DEMONSTRATIVES, *_PRONOUNS]},
}
TABLES: dict[str, dict[str, tuple[str, str]]] = {"pt": _PORTUGUESE}

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
        reference = split_contractions(example.reference, TABLES[lang])
        words, spaces = [token.text for token in reference], [bool(token.whitespace_) for token in reference]
        yield Example(Doc(nlp.vocab, words=words, spaces=spaces), reference)

    return augment


def split_contractions(doc: Doc, table: Mapping[str, tuple[str, str]]) -> Doc:
    """A copy of a document in which contractions are two words; entities, also missing ones, and sentences are kept.

    An entity that begins with a contraction then begins after it: of "da Fazenda", "Fazenda" is the name.

    table (Mapping[str, tuple[str, str]]): Contraction in lower case → its words. The case of the first letter, or of
        all letters, is carried over.
    """
    words: list[str] = []
    spaces: list[bool] = []
    first: list[int] = []
    for token in doc:
        first.append(len(words))
        parts = _split(token.text, table)
        words += parts
        spaces += [*(True for _ in parts[1:]), bool(token.whitespace_)]
    first.append(len(words))
    starts: list[bool | int | None] | None = None
    if doc.has_annotation("SENT_START"):
        begin = {first[token.i] for token in doc if token.is_sent_start}
        starts = [i in begin for i in range(len(words))]
    copy = Doc(doc.vocab, words=words, spaces=spaces, sent_starts=starts)
    ents = []
    for ent in doc.ents:
        begins_with_one = len(ent) > 1 and ent[0].text.lower() in table
        start = first[ent.start + begins_with_one]
        ents.append(Span(copy, start, first[ent.end], label=ent.label, kb_id=ent.kb_id, span_id=ent.id))
    missing = [copy[first[token.i] : first[token.i + 1]] for token in doc if token.ent_iob == 0]
    if doc.has_annotation("ENT_IOB"):
        copy.set_ents(ents, missing=missing, default="outside")
    return copy


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
