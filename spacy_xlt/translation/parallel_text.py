"""`xlt_parallel`: Bitexts of documents and the translations that people made of them."""

from __future__ import annotations

from typing import Any

from spacy.language import Language
from spacy.tokens import Doc

from ..bitext import Bitext, SentencePair
from ..errors import error
from ..languages import blank, to_spacy
from ..pipe import XltPipe
from .quality import QualityGates, TranslationPair

# In `doc.user_data`: the text of a translation and both languages, as `given` puts it there
KEY = "xlt_given"


def given(doc: Doc, text: str, *, source: str, target: str) -> Doc:
    """Note on a document its translation, which `xlt_parallel` makes a Bitext of."""
    doc.user_data[KEY] = {"text": text, "source": source, "target": target}
    return doc


@Language.factory(
    "xlt_parallel",
    assigns=["doc._.xlt"],
    default_config={"quality": {"@misc": "spacy_xlt.QualityGates.v1"}},
)
class ParallelPipe(XltPipe[Bitext]):
    """Adds to each document a Bitext with the translation that was read beside it: `doc._.xlt[target]`.

    The document is one sentence pair, as a line of parallel text is. `spacy xlt build --parallel` reads the text; it
    stands before `xlt_aligner`.

    Args:
        name: The component's name.
        nlp: The pipeline; not used.
        quality: The `QualityGates` that flag what is no translation; none where null.

    Raises:
        XltError: E150 for something that is no `QualityGates`.
    """

    def __init__(self, name: str, *, nlp: Language | None = None, quality: Any):
        if quality is not None and not isinstance(quality, QualityGates):
            raise error("E150", owner=name, setting="quality", value=quality, expected="QualityGates, or null")
        super().__init__(name, quality)

    @property
    def signature(self) -> str:
        """The signature of the gates."""
        return "none" if self.engine is None else super().signature

    def predict(self, docs: list[Doc]) -> list[Bitext]:
        """The documents with their translations.

        Raises:
            XltError: E106 where a gate needs a package that is not installed, E107 for a document without translation.
        """
        return [self._bitext(doc) for doc in docs]

    def _bitext(self, doc: Doc) -> Bitext:
        noted = doc.user_data.get(KEY)
        if noted is None:
            raise error("E107", name=self.name)
        text, source, target = noted["text"], to_spacy(noted["source"]), to_spacy(noted["target"])
        translation = blank(target).tokenizer(text)
        flags = () if self.engine is None else self.engine.flags(TranslationPair(doc.text, text, source, target))
        pair = SentencePair(0, len(doc), 0, len(translation), None, flags)
        return Bitext(doc, translation, source_lang=source, target_lang=target, sentences=[pair])

    def set_annotations(self, docs: list[Doc], predictions: list[Bitext]) -> None:
        """Store the Bitexts on the docs."""
        for doc, bitext in zip(docs, predictions, strict=True):
            del doc.user_data[KEY]
            doc._.xlt[bitext.target_lang] = bitext
