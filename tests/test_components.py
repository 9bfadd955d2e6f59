"""The components in a pipeline: batches, errors, saving, other processes."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
import spacy
from helpers.engines import DIAGONAL, UPPER
from spacy.tokens import Doc

from spacy_xlt import Alignment
from spacy_xlt.errors import XltError, XltWarning
from spacy_xlt.protocols import Aligner, Translator

TEXTS = [
    "Maria lives here. She works in Rio de Janeiro.\n\n  Then she left!",
    "",
    " \n\t ",
    "😀\u200b\u200d",
    "one",
    "مرحبا بالعالم. 你好世界。",
]


def test_every_text_comes_through_with_its_sentences(nlp):
    docs = list(nlp.pipe(TEXTS))
    assert [doc.text for doc in docs] == TEXTS
    for doc in docs:
        bitext = doc._.xlt["pt"]
        assert bitext.target.text == doc.text.upper()
        assert bitext.sentences[-1].source_end == len(doc) and bitext.sentences[-1].target_end == len(bitext.target)
    assert [pair.source for pair in docs[0]._.xlt["pt"].sentences] == [(0, 4), (4, 11), (11, 16)]


def test_entities_are_projected_wherever_they_lie(nlp, make_doc):
    doc = make_doc("Maria Silva saw Rio . Lima end", (0, 2, "PER"), (3, 4, "LOC"), (5, 7, "LOC"), sents=[5])
    target = nlp(doc)._.xlt["pt"].target
    assert [(ent.text, ent.label_) for ent in target.ents] == [
        ("MARIA SILVA", "PER"), ("RIO", "LOC"), ("LIMA END", "LOC"),
    ]  # fmt: skip


def test_a_doc_of_5000_tokens_without_boundaries(nlp):
    words = ["word"] * 5000
    doc = nlp(Doc(nlp.vocab, words=words))
    assert len(doc._.xlt["pt"].target) == 5000 and len(doc._.xlt["pt"].alignment) == 5000


def test_one_bad_doc_goes_to_the_error_handler_alone(nlp):
    failed = []
    nlp.set_error_handler(lambda name, proc, docs, err: failed.extend((name, doc.text) for doc in docs))
    docs = nlp.pipe([("a b", 1), ("crash", 2), ("c", 3)], as_tuples=True)
    assert [(doc.text, context) for doc, context in docs] == [("a b", 1), ("c", 3)]
    assert failed == [("xlt_translator", "crash")]


def test_the_pipeline_is_saved_and_loaded(nlp, tmp_path, make_doc):
    nlp.to_disk(tmp_path / "pipeline")
    again = spacy.load(tmp_path / "pipeline")
    doc = make_doc("Maria sleeps", (0, 1, "PER"))
    assert again(doc)._.xlt["pt"].target.ents[0].label_ == "PER"
    assert again.get_pipe("xlt_translator").target == "pt"
    assert spacy.blank("en").from_config(nlp.config).from_bytes(nlp.to_bytes())("a")._.xlt["pt"].target.text == "A"


def test_loading_with_another_engine_warns(nlp, tmp_path):
    nlp.to_disk(tmp_path / "pipeline")
    cfg = tmp_path / "pipeline" / "xlt_aligner" / "cfg"
    cfg.write_text(cfg.read_text().replace("diagonal-1", "diagonal-0"))
    with pytest.warns(XltWarning, match="W101.*diagonal-1.*diagonal-0"):
        spacy.load(tmp_path / "pipeline")


def test_bitexts_come_back_from_other_processes(nlp):
    docs = list(nlp.pipe(TEXTS * 4, n_process=2, batch_size=5))
    assert [doc.text for doc in docs] == TEXTS * 4
    assert docs[-2]._.xlt["pt"].target.text == "ONE"


def test_analyze_pipes_knows_what_is_needed():
    nlp = spacy.blank("en")
    nlp.add_pipe("xlt_aligner", config={"engine": DIAGONAL})
    assert nlp.analyze_pipes()["problems"]["xlt_aligner"] == ["doc._.xlt"]
    nlp.add_pipe("xlt_translator", config={"engine": UPPER, "target": "pt"}, first=True)
    assert nlp.analyze_pipes()["problems"]["xlt_aligner"] == []


def test_a_component_without_its_predecessor_says_so(make_doc):
    nlp = spacy.blank("en")
    nlp.add_pipe("xlt_aligner", config={"engine": DIAGONAL, "targets": ["de"]})
    with pytest.raises(XltError, match="E102"):
        nlp("a")
    nlp.add_pipe("xlt_translator", config={"engine": UPPER, "target": "pt"}, first=True)
    with pytest.raises(XltError, match="E005.*'de'.*pt"):
        nlp("a")


def test_an_engine_of_the_wrong_kind_is_refused_with_the_setting():
    with pytest.raises(XltError, match=r"E101.*DiagonalAligner.*components\.xlt_translator\.engine"):
        spacy.blank("en").add_pipe("xlt_translator", config={"engine": DIAGONAL, "target": "pt"})


def test_engines_fit_their_protocols(nlp):
    assert isinstance(nlp.get_pipe("xlt_translator").engine, Translator)
    assert isinstance(nlp.get_pipe("xlt_aligner").engine, Aligner)
    assert isinstance(nlp("a b")._.xlt["pt"].alignment, Alignment)


def python(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def test_importing_the_package_loads_neither_torch_nor_transformers():
    assert python("import sys, spacy_xlt; print({'torch', 'transformers', 'spacy'} & {*sys.modules})") == "set()"


def test_importing_the_factories_needs_no_heavy_library():
    # spaCy itself imports torch where it can, so it is made impossible here
    code = """
import sys
heavy = ["torch", "transformers", "scipy", "simalign", "sentencepiece", "spacy_transformers"]
sys.modules.update(dict.fromkeys(heavy))
import spacy_xlt.translation.component, spacy_xlt.alignment.component, spacy_xlt.projection.component
import spacy_xlt.annotate, spacy_xlt.cli
from spacy.util import registry
for name in ("BergamotTranslator", "EmbeddingAligner", "SimAlignAligner", "AttentionAligner", "LinkProjector"):
    registry.misc.get(f"spacy_xlt.{name}.v1")()
print("made")
"""
    assert python(code) == "made"


@pytest.mark.parametrize(
    ("component", "settings"),
    [
        ("xlt_translator", {"join_contractions": "no"}),
        ("xlt_translator", {"max_chars": "abc"}),
        ("xlt_translator", {"max_chars": 20.5}),
        ("xlt_translator", {"cache_mb": "x"}),
        ("xlt_translator", {"target": ["pt", "es"]}),
        ("xlt_translator", {"protect": "url"}),
        ("xlt_translator", {"quality": "x"}),
        ("xlt_projector", {"cats": "no"}),
        ("xlt_projector", {"labels": "PER"}),
        ("xlt_projector", {"targets": "pt"}),
        ("xlt_projector", {"filters": [1]}),
        ("xlt_annotator", {"beam_width": "x"}),
        ("xlt_annotator", {"pipeline": 5}),
        ("xlt_ensemble", {"members": 5}),
        ("xlt_ensemble", {"members": {"a": None}, "weights": "x"}),
        ("xlt_ensemble", {"members": {"a": None}, "threshold": "x"}),
    ],
)
def test_a_setting_of_the_wrong_type_is_named_with_its_value(component, settings):
    given = {"engine": UPPER, "target": "pt"} if component == "xlt_translator" else {}
    *_, (name, value) = settings.items()
    with pytest.raises(XltError, match=f"XLT-E150.*`{name}` of {component} is {re.escape(repr(value))}"):
        spacy.blank("en").add_pipe(component, config={**given, **settings})
