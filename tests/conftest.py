"""Engines small enough to predict by hand, and corpora made from words."""

from __future__ import annotations

import gc
import signal
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path

import pytest
import spacy
import typer.main
import typer.testing
from helpers.engines import DIAGONAL, UPPER
from helpers.mixed_sources import numbered  # noqa: F401 (a fixture)
from helpers.shards_build import build_shards, built_shards  # noqa: F401 (fixtures)
from helpers.view_browser import browser, show  # noqa: F401 (fixtures)
from helpers.vocabs import vocab_of
from spacy.language import Language
from spacy.tokens import Doc, DocBin, Span

# A shell starts what is to run in its background with Ctrl-C ignored, and so would the commands that tests interrupt
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_finish() -> None:
    """What is imported stays: a build collects garbage, and would look through all of that each time."""
    spacy.blank("en")  # Imports what any factory needs
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def commands_made_once() -> Iterator[None]:
    """Typer makes all commands of an app anew for each one that is run, which is most of the time of a short one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(typer.testing, "_get_command", cache(typer.main.get_command))
        yield


@pytest.fixture
def nlp() -> Language:
    """English pipeline that translates into capitals, aligns word by word and projects along the links."""
    nlp = spacy.blank("en")
    nlp.add_pipe("xlt_translator", config={"engine": UPPER, "target": "pt"})
    nlp.add_pipe("xlt_aligner", config={"engine": DIAGONAL})
    nlp.add_pipe("xlt_projector")
    return nlp


@pytest.fixture
def without_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """No key for an endpoint, and no proxy before loopback."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def make_doc() -> Callable[..., Doc]:
    """Make a Doc from words between spaces and entities `(start, end, label)`."""

    def make(text: str, *ents: tuple[int, int, str], lang: str = "en", sents: Sequence[int] = ()) -> Doc:
        words = text.split()
        starts = [i == 0 or i in sents for i in range(len(words))] if sents else None
        doc = Doc(vocab_of(lang), words=words, sent_starts=starts)
        doc.set_ents([Span(doc, *ent) for ent in ents], default="outside")
        return doc

    return make


@pytest.fixture
def write_corpus(tmp_path: Path) -> Callable[..., Path]:
    """Write docs to a `.spacy` file."""

    def write(docs: Sequence[Doc], name: str = "corpus.spacy") -> Path:
        DocBin(docs=docs, store_user_data=True).to_disk(tmp_path / name)
        return tmp_path / name

    return write


@pytest.fixture(scope="session")
def seq2seq_model(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Make the tiny translation model of a family at its first use: the folder, to be read only."""
    from helpers.tiny_seq2seq import Maker

    return Maker(tmp_path_factory.mktemp("seq2seq"))
