"""The commands: what they read, print and refuse."""

import pytest
import spacy
from helpers.cli import spacy_cli
from spacy.cli._util import app
from spacy.tokens import DocBin
from transformers import AutoTokenizer
from typer.testing import CliRunner

import spacy_xlt.cli  # noqa: F401


@pytest.fixture
def folder(make_encoder, tmp_path, monkeypatch):
    """The current folder, with a model, texts of two kinds, and parallel text with links."""
    monkeypatch.chdir(tmp_path)
    make_encoder("Unigram").rename("model")
    nlp = spacy.blank("xx")
    DocBin(docs=[nlp.make_doc("John works in New York")]).to_disk("corpus.spacy")
    for name, text in (
        ("a.en", "Mary lives\n"),
        ("a.en.txt", "Mary lives\n"),
        ("b.ru.txt", "ёлка Москва\n"),
        ("links.txt", "0-0 1-1\n"),
    ):
        (tmp_path / name).write_text(text, encoding="utf8")
    return tmp_path


def test_trim_reads_texts_and_corpora(folder):
    said = spacy_cli("xlt", "vocabulary", "trim", "model", "out", "a.en.txt", "corpus.spacy")
    before, after = (AutoTokenizer.from_pretrained(name) for name in ("model", "out"))
    assert f"{len(before)} pieces before, {len(after)} after" in " ".join(said.split()) and len(after) < len(before)
    for text in ("Mary lives", "John works in New York"):
        assert after.tokenize(text) == before.tokenize(text)


def test_plain_text_may_have_any_name(folder):
    for name in ("a.en", "a.en.txt"):
        spacy_cli("xlt", "vocabulary", "trim", "model", f"out-{name}", name, "--silent")
    vocabularies = (AutoTokenizer.from_pretrained(f"out-{name}").get_vocab() for name in ("a.en", "a.en.txt"))
    assert next(vocabularies) == next(vocabularies)


def test_romanise_takes_texts_or_all_pieces(folder):
    said = spacy_cli("xlt", "vocabulary", "romanise", "model", "some", "b.ru.txt", "--lang", "ru")
    assert "forms are new" in said
    spacy_cli("xlt", "vocabulary", "romanise", "model", "all", "--silent")
    model, some, every = (len(AutoTokenizer.from_pretrained(name)) for name in ("model", "some", "all"))
    assert model < some < every


def test_transfer_with_links_and_a_tokenizer_or_without(folder):
    given = ["--links", "links.txt", "--tokenizer", "model", "--silent"]
    spacy_cli("xlt", "vocabulary", "transfer", "model", "given", "a.en.txt", "b.ru.txt", *given)
    assert AutoTokenizer.from_pretrained("given").get_vocab() == AutoTokenizer.from_pretrained("model").get_vocab()
    said = spacy_cli("xlt", "vocabulary", "transfer", "model", "made", "a.en.txt", "b.ru.txt", "--pieces", "30")
    assert "from links" in said and len(AutoTokenizer.from_pretrained("made")) <= 30


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("trim model model a.en.txt", "E553"),
        ("trim model taken a.en.txt", "E553"),
        ("trim model out nothing.txt", "E502"),
        ("trim model out a.en.txt --min-count 0", "E510"),
        ("transfer model a.en.txt a.en.txt b.ru.txt", "E553"),
        ("transfer model out a.en.txt b.ru.txt --pieces 0", "E510"),
        ("transfer model out a.en.txt b.ru.txt --tokenizer model --pieces 30", "E510"),
        ("transfer model out a.en.txt b.ru.txt --links b.ru.txt", "E531"),
        ("transfer model out a.en.txt b.ru.txt --tokenizer taken", "of 'taken' cannot"),
        ("romanise model out a.en.txt", "E862"),
    ],
)
def test_what_cannot_be_done_is_one_message(folder, words, code):
    (folder / "taken").mkdir()
    (folder / "taken/file").touch()
    done = CliRunner().invoke(app, ["xlt", "vocabulary", *words.split()])
    assert done.exit_code == 1 and "XLT-E" in done.output and code in " ".join(done.output.split())
    assert "Traceback" not in done.output
    assert not (folder / "out").exists()
