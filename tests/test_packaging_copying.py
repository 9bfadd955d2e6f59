"""A model card in a copy: what a training wrote stays as it was."""

import pytest
import spacy
from typer.testing import CliRunner

from spacy_xlt.cli import app
from spacy_xlt.errors import XltError
from spacy_xlt.package.copying import copy_pipeline


@pytest.fixture
def pipeline(tmp_path):
    spacy.blank("pt").to_disk(tmp_path / "model")
    return tmp_path / "model"


def test_the_card_goes_into_the_copy(pipeline, tmp_path):
    before = (pipeline / "meta.json").read_bytes()
    command = [
        "card",
        str(pipeline),
        "--output",
        str(tmp_path / "copy"),
        "--name",
        "mine",
        "--licence",
        "MIT",
        "--allow-unknown",
    ]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    assert (pipeline / "meta.json").read_bytes() == before
    assert spacy.load(tmp_path / "copy").meta["name"] == "mine"


def test_a_copy_takes_the_place_of_an_older_one(pipeline, tmp_path):
    copy_pipeline(pipeline, tmp_path / "copy")
    (tmp_path / "copy" / "old").touch()
    copy_pipeline(pipeline, tmp_path / "copy")
    names = sorted(path.name for path in pipeline.iterdir())
    assert sorted(path.name for path in (tmp_path / "copy").iterdir()) == names


@pytest.mark.parametrize("where", [".", "model", "model/inside", "other", "other/file"])
def test_nothing_but_a_pipeline_is_replaced(pipeline, tmp_path, where):
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file").touch()
    with pytest.raises(XltError, match="XLT-E687"):
        copy_pipeline(pipeline, tmp_path / where)
    assert (tmp_path / "other" / "file").is_file() and (pipeline / "meta.json").is_file()
