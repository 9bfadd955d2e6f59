"""`xlt_aligner`: link the words of Bitexts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from spacy.language import Language
from spacy.tokens import Doc

from ..bitext import Bitext, SentencePair
from ..errors import error, warn
from ..languages import UNSEGMENTED
from ..links import Alignment
from ..pipe import BitextPipe
from ..protocols import PairContext, TokenPair
from ..tokens import has_text

DEFAULT_ENGINE = {"@misc": "spacy_xlt.EmbeddingAligner.v1"}
# Characters: words of languages without spaces are shorter in the mean, stretches between spaces and signs are longer
_LONG = 10


@Language.factory(
    "xlt_aligner",
    requires=["doc._.xlt"],
    assigns=["doc._.xlt"],
    default_config={"engine": DEFAULT_ENGINE, "targets": None},
)
def make_aligner(nlp: Language, name: str, engine: Any, targets: list[str] | None) -> AlignerPipe:
    """Make the component.

    Args:
        engine: What links the words, an `Aligner`.
        targets: Which bitexts of `doc._.xlt` to align, by language code; all where left out.
    """
    return AlignerPipe(name, engine, targets=targets)


class AlignerPipe(BitextPipe):
    """Adds word links to the Bitexts of documents, sentence by sentence. The arguments are those of `make_aligner`."""

    required_method = "align"

    def __init__(self, name: str, engine: Any, *, targets: list[str] | None = None):
        super().__init__(name, engine, targets=targets)
        # The languages that were warned about
        self._warned: set[str] = set()

    def predict(self, docs: list[Doc]) -> list[dict[str, Bitext]]:
        """The docs' bitexts with links, by language code."""
        bitexts = [self.bitexts_of(doc) for doc in docs]
        self.align([bitext for by_lang in bitexts for bitext in by_lang.values()])
        return bitexts

    def align(self, bitexts: Sequence[Bitext]) -> None:
        """Set the links of bitexts, all their sentence pairs in one call of the engine.

        Raises:
            XltError: E105 where the engine returns another number of alignments than it got pairs.
        """
        work = [(bitext, pair) for bitext in bitexts for pair in bitext.sentences]
        pairs = [_tokens(bitext, pair) for bitext, pair in work]
        contexts = [_context(bitext, pair) for bitext, pair in work]
        alignments = self.engine.align(pairs, contexts=contexts)
        if len(alignments) != len(pairs):
            raise error("E105", name=self.name, found=len(alignments), expected=len(pairs))
        parts: dict[int, list[Alignment]] = {id(bitext): [] for bitext in bitexts}
        for (bitext, pair), alignment in zip(work, alignments, strict=True):
            parts[id(bitext)].append(alignment.shift(pair.source_start, pair.target_start))
        aligner = self.signature
        for bitext in bitexts:
            bitext.alignment = Alignment.concatenate(parts[id(bitext)]).check(len(bitext.source), len(bitext.target))
            bitext.aligner = aligner
            self._warn_of_unlinked(bitext)

    def _warn_of_unlinked(self, bitext: Bitext) -> None:
        """Warn once for a language whose words are probably whole sentences, uncut for want of spaces."""
        sides = ((bitext.source_lang, bitext.source), (bitext.target_lang, bitext.target))
        if all(lang not in UNSEGMENTED or lang in self._warned for lang, _ in sides):
            return
        for (lang, doc), unlinked in zip(sides, bitext.unlinked, strict=True):
            if lang not in UNSEGMENTED or lang in self._warned:
                continue
            words = [token.text for token in doc if has_text(token.text)]
            if 2 * unlinked > len(words) and sum(map(len, words)) > _LONG * len(words):
                self._warned.add(lang)
                warn("W340", name=self.name, unlinked=unlinked, words=len(words), lang=lang)


def _tokens(bitext: Bitext, pair: SentencePair) -> TokenPair:
    source = [token.text for token in bitext.source[slice(*pair.source)]]
    return source, [token.text for token in bitext.target[slice(*pair.target)]]


def _context(bitext: Bitext, pair: SentencePair) -> PairContext:
    attention = None if bitext.attention is None else bitext.attention.between(pair.source, pair.target)
    # A sentence that was translated with stand-ins has none
    return PairContext(bitext.source_lang, bitext.target_lang, attention if attention else None)
