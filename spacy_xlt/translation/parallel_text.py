"""`xlt_parallel`: Bitexts of documents and the translations that people made of them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from spacy.language import Language
from spacy.tokens import Doc
from spacy.util import registry

from ..bitext import Bitext, SentencePair
from ..docs import with_vocab
from ..errors import error
from ..languages import MULTI, UNSEGMENTED, blank, to_spacy, vocab_of
from ..pipe import XltPipe
from ..subpipeline import load_pipeline
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
    default_config={"quality": {"@misc": "spacy_xlt.QualityGates.v1"}, "encoder": None, "target_pipelines": {}},
)
class ParallelPipe(XltPipe[Bitext]):
    """Adds to each document a Bitext with the translation that was read beside it: `doc._.xlt[target]`.

    The document is one sentence pair, as a line of parallel text is. `spacy xlt build --parallel` reads the text; it
    stands before `xlt_aligner`.

    Args:
        name: The component's name.
        nlp: The pipeline; not used.
        quality: The `QualityGates` that flag what is no translation; none where null.
        encoder: A model folder, a Hugging Face name, or "bundled:NAME": its pieces are the words of languages that are
            written without spaces; see `PieceTokenizer`. Null for spaCy's tokenizer there too.
        target_pipelines: Language code → name or path of a pipeline whose tokenizer cuts translations into that
            language instead; it should be the one that the final pipeline uses. Of all others spaCy's tokenizer for the
            language.

    Raises:
        XltError: E150 for an invalid setting, E010 for an unknown language.
    """

    def __init__(
        self,
        name: str,
        *,
        nlp: Language | None = None,
        quality: Any = None,
        encoder: str | None = None,
        target_pipelines: Mapping[str, str] | None = None,
    ):
        pipelines = {} if target_pipelines is None else target_pipelines
        is_mapping = isinstance(pipelines, Mapping) and all(isinstance(path, str) for path in pipelines.values())
        for setting, value, is_valid, expected in (
            ("quality", quality, quality is None or isinstance(quality, QualityGates), "QualityGates, or null"),
            ("encoder", encoder, encoder is None or isinstance(encoder, str), "an encoder, or null"),
            ("target_pipelines", pipelines, is_mapping, "pipelines by the code of their language"),
        ):
            if not is_valid:
                raise error("E150", owner=name, setting=setting, value=value, expected=expected)
        super().__init__(name, quality)
        self.encoder = encoder
        self.target_pipelines = {to_spacy(lang): path for lang, path in pipelines.items()}
        self._pipelines: dict[str, Language] = {}

    def __getstate__(self) -> dict[str, Any]:
        # Some tokenizers (Japanese, Thai) hold objects that cannot be pickled
        kept = {name: value for name, value in self.__dict__.items() if name != "_pieces"}
        return {**kept, "_pipelines": {}}

    @property
    def signature(self) -> str:
        """The signature of the gates, and what cuts words where it is not spaCy's tokenizer."""
        gates = "none" if self.engine is None else super().signature
        pipelines = [f"target_pipelines.{lang}:{path}" for lang, path in sorted(self.target_pipelines.items())]
        return "|".join([gates, *([f"encoder:{self.encoder}"] if self.encoder else []), *pipelines])

    def cut(self, text: str, lang: str) -> Doc:
        """The words of a translation.

        Raises:
            XltError: E104 where a pipeline of `target_pipelines` cannot be loaded, E303 where the encoder cannot, E011
                where a language's tokenizer cannot be made.
        """
        if lang not in self.target_pipelines:
            if self.encoder is None or lang not in UNSEGMENTED:
                return blank(lang).tokenizer(text)
            doc: Doc = self._pieces(text)
            return doc
        if lang not in self._pipelines:
            setting = f"target_pipelines.{lang}"
            self._pipelines[lang] = load_pipeline(self.target_pipelines[lang], name=self.name, setting=setting)
        return with_vocab(self._pipelines[lang].make_doc(text), vocab_of(lang))

    @cached_property
    def _pieces(self) -> Any:
        tokenizer = registry.tokenizers.get("spacy_xlt.PieceTokenizer.v1")()(blank(MULTI))
        try:
            tokenizer.initialize(encoder=self.encoder)
        except ValueError as err:
            raise error("E303", model=self.encoder, setting=f"{self.name}.encoder", reason=err.__cause__) from err
        return tokenizer

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
        translation = self.cut(text, target)
        flags = () if self.engine is None else self.engine.flags(TranslationPair(doc.text, text, source, target))
        pair = SentencePair(0, len(doc), 0, len(translation), None, flags)
        return Bitext(doc, translation, source_lang=source, target_lang=target, sentences=[pair])

    def set_annotations(self, docs: list[Doc], predictions: list[Bitext]) -> None:
        """Store the Bitexts on the docs."""
        for doc, bitext in zip(docs, predictions, strict=True):
            del doc.user_data[KEY]
            doc._.xlt[bitext.target_lang] = bitext
