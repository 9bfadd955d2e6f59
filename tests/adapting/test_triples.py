"""Facts: a head with its relation comes near its tail."""

import numpy as np
import pytest
from helpers.paths import CONFIGS
from helpers.tiny_encoder import make_tiny_encoder
from typer.testing import CliRunner

from spacy_xlt.adapting.config import read_adapting
from spacy_xlt.adapting.model import AdaptedModel
from spacy_xlt.adapting.trainer import AdaptingSettings, adapt
from spacy_xlt.adapting.triples import Triples
from spacy_xlt.cli import app
from spacy_xlt.errors import XltError

FACTS = ["Lisboa\tcity in\tPortugal", "Rio\tcity in\tBrasil\tQ155\t9", "Maria\tmora em\tLisboa", "Banco\tof\tNew York"]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return make_tiny_encoder(tmp_path_factory.mktemp("tiny"))


def _write(tmp_path, *lines):
    path = tmp_path / "facts.tsv"
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf8")
    return path


def _cosines(model, heads, tails):
    """Of all heads with all tails."""
    model = AdaptedModel(str(model), layers=2, max_pieces=60)
    first, second = ([model.side(text.split())[0] for text in texts] for texts in (heads, tails))
    return (model.texts(first) @ model.texts(second).T).detach().numpy()


def test_each_head_and_relation_learns_its_tail(tiny, tmp_path):
    settings = AdaptingSettings(model=str(tiny), layers=2, steps=40, max_pieces=60, learning_rate=2e-3)
    summary = adapt(settings, {"facts": Triples(path=str(_write(tmp_path, "", *FACTS)))}, tmp_path / "out")
    assert (summary["objectives"]["facts"]["read"], summary["objectives"]["facts"]["items"]) == (4, 4)
    assert summary["loss_last"] < summary["loss_first"] / 2
    heads, tails = zip(*((f"{a} {b}", c) for a, b, c, *_ in (fact.split("\t") for fact in FACTS)), strict=True)
    before, after = (_cosines(model, heads, tails).argmax(1).tolist() for model in (tiny, tmp_path / "out"))
    assert after == [0, 1, 2, 3] != before


def test_another_tail_of_the_same_head_and_relation_is_no_rival(tiny, tmp_path):
    model = AdaptedModel(str(tiny), layers=2, max_pieces=60)
    facts = Triples(path=str(_write(tmp_path, "Rio\tin\tBrasil", "Rio\tin\tNew York", "Maria\tin\tBrasil")))
    facts.prepare(model)

    def loss(*items):
        return float(facts.loss(model, items, np.random.default_rng(0)).detach())

    assert loss(0, 1) == loss(0, 2) == 0 < loss(1, 2)


def test_a_line_without_three_columns_is_named(tiny, tmp_path):
    model = AdaptedModel(str(tiny), layers=2, max_pieces=60)
    for lines, message in (
        ((FACTS[0], "Rio in Brasil"), "E359.*facts.tsv, line 2: 1 of three columns"),
        (("", "\tin\tRio", "Rio\tin"), "E359.*line 3: 2 of three"),
        (("Rio\tin\t",), "E354.*facts.tsv.*1 read"),
    ):
        with pytest.raises(XltError, match=message):
            Triples(path=str(_write(tmp_path, *lines))).prepare(model)
    with pytest.raises(XltError, match="E535.*nowhere"):
        Triples(path=str(tmp_path / "nowhere")).prepare(model)


def test_the_config_has_every_setting_and_needs_the_file_alone(tiny, tmp_path):
    shipped, objectives = read_adapting(CONFIGS / "adapting/triples.cfg", {"paths.facts": "facts.tsv"})
    assert objectives["triples"].signature == Triples(path="facts.tsv").signature
    others = {name: value for name, value in vars(shipped).items() if value != getattr(AdaptingSettings(), name)}
    assert others == {"batch_tokens": 2048}
    arguments = ["adapt", "adapting/triples", str(tmp_path / "out"), "--adapting.model", str(tiny)]
    arguments += ["--adapting.steps", "2"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 1 and "`path` of Triples" in result.output and not (tmp_path / "out").exists()
    result = CliRunner().invoke(app, [*arguments, "--paths.facts", str(_write(tmp_path, *FACTS))])
    assert result.exit_code == 0 and "triples: 4 of 4 used" in result.output, result.output
