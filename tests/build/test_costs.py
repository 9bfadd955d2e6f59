"""`build --dry-run`: what language models would be asked for, from a sample."""

from __future__ import annotations

import pytest
import spacy
from helpers.builds import CODE, LLM_CONFIG, write_texts
from helpers.cli import spacy_cli
from helpers.language_server import Fault, chat, serving
from thinc.api import Config
from typer.testing import CliRunner

import spacy_xlt.cli  # noqa: F401
from spacy_xlt.build.costs import Asked, estimate
from spacy_xlt.errors import XltError
from spacy_xlt.projection.markers import MarkerProjector
from spacy_xlt.readers import ReadSettings

pytestmark = pytest.mark.usefixtures("without_key")


def in_capitals(body, n):
    """A model that reads ten tokens and writes one a word."""
    text = body["messages"][-1]["content"].rpartition("\n\n")[2]
    answer = chat(text.upper())
    return {**answer, "usage": {"prompt_tokens": 10, "completion_tokens": len(text.split())}}


@pytest.fixture
def setup(tmp_path):
    """A config for a server's address, and a corpus of 50 different texts of four words, all equally long."""

    def make(server, config=LLM_CONFIG):
        path = tmp_path / "config.cfg"
        path.write_text(config.format(url=server.url, cache=tmp_path / "answers.sqlite"))
        return path, write_texts(tmp_path / "corpus.spacy", [f"Anna{n:02d} saw it today" for n in range(50)])

    return make


def pipeline(path, **translator):
    config = Config().from_disk(path)
    config["components"]["xlt_translator"].update(translator)
    return spacy.util.load_model_from_config(config, auto_fill=True)


def test_a_dry_run_asks_about_twenty_documents_and_builds_nothing(setup, tmp_path):
    with serving(in_capitals) as server:
        config, corpus = setup(server)
        printed = spacy_cli("xlt", "build", config, corpus, tmp_path / "out", "--dry-run", "--code", CODE)
        assert len(server.requests) == 20
    assert not (tmp_path / "out").exists()
    assert "20 of 50 documents were tried (400 of 1,000 characters)" in " ".join(printed.split())
    row = next(line.split() for line in printed.splitlines() if line.startswith("xlt_translator"))
    # Requests, tokens read and written: of the sample, and of all
    assert row[1:] == ["20", "200", "80", "50", "500", "200"]


def test_the_answers_of_the_sample_are_asked_for_no_more_by_the_build(setup, tmp_path):
    with serving(in_capitals) as server:
        config, corpus = setup(server)
        spacy_cli("xlt", "build", config, corpus, tmp_path / "out", "--dry-run", "--code", CODE)
        spacy_cli("xlt", "build", config, corpus, tmp_path / "out", "--code", CODE, "--silent", "--no-report")
        assert len(server.requests) == len(set(server.asked)) == 50


def test_what_is_in_the_caches_already_costs_as_much_in_the_estimate(setup, tmp_path):
    with serving(in_capitals) as server:
        config, corpus = setup(server)
        settings = {"cache": str(tmp_path / "translations.sqlite")}
        list(pipeline(config, **settings).pipe(["Anna00 saw it today", "Anna01 saw it today"]))
        first = estimate(pipeline(config, **settings), corpus, reading=ReadSettings(lang="en"))
        second = estimate(pipeline(config, **settings), corpus, reading=ReadSettings(lang="en"))
    assert first == second and first.asked == {"xlt_translator": Asked(20, 200, 80)}


def test_a_model_that_a_projector_asks_is_counted_there(setup):
    with serving(in_capitals) as server:
        config, corpus = setup(server)
        nlp = pipeline(config)
        translator = pipeline(config).get_pipe("xlt_translator").engine
        nlp.get_pipe("xlt_projector").engine = MarkerProjector(translator=translator, markers="tags")
        costs = estimate(nlp, corpus, reading=ReadSettings(lang="en"))
    assert costs.asked["xlt_projector"].requests == 20
    assert costs.expected["xlt_projector"].requests == 50


def test_characters_stand_for_tokens_where_a_server_counts_none(setup):
    with serving(lambda body, n: {**in_capitals(body, n), "usage": None}) as server:
        config, corpus = setup(server)
        costs = estimate(pipeline(config), corpus, reading=ReadSettings(lang="en"))
        read = sum(map(len, server.asked))
    assert costs.asked["xlt_translator"] == Asked(20, read, 20 * len("Anna00 saw it today"))


def test_documents_of_the_sample_that_fail_are_told(setup, tmp_path):
    def script(body, n):
        # A request that is too long is the fault of its document
        return Fault(400, {"error": "too long"}) if "Anna01" in str(body) else in_capitals(body, n)

    with serving(script) as server:
        config, corpus = setup(server)
        printed = spacy_cli("xlt", "build", config, corpus, tmp_path / "out", "--dry-run", "--code", CODE)
    assert "1 of 20 documents failed" in printed and "too long" in printed


def test_a_config_without_a_language_model_has_no_costs(setup, tmp_path):
    config = LLM_CONFIG.replace("spacy_xlt.LlmTranslator.v1", "test.UpperTranslator.v1")
    config = (
        config[: config.index("[components.xlt_translator.engine.model]")]
        + config[config.index("[components.xlt_aligner]") :]
    )
    with serving(in_capitals) as server:
        path, corpus = setup(server, config)
        with pytest.raises(XltError, match="E510.*a language model is asked"):
            estimate(pipeline(path), corpus, reading=ReadSettings(lang="en"))


def test_parallel_text_has_no_dry_run(tmp_path):
    arguments = ["xlt", "build", "parallel", "a.en", "a.de", str(tmp_path / "out"), "--parallel", "--dry-run"]
    result = CliRunner().invoke(spacy.cli._util.app, arguments)
    assert result.exit_code == 1 and "XLT-E510" in result.output
