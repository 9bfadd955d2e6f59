"""The configs of adaptations that ship, and what is said of one that cannot be used."""

import re

import pytest
from helpers.paths import CONFIGS, ROOT
from thinc.api import Config

from spacy_xlt.adapting.config import read_adapting
from spacy_xlt.adapting.masked import MaskedLanguage, TranslationMasked
from spacy_xlt.adapting.self_align import SelfAlign
from spacy_xlt.adapting.texts import ParallelLines, Sentences
from spacy_xlt.errors import XltError

NAMES = sorted(path.stem for path in (CONFIGS / "adapting").glob("*.cfg"))
# What has no default
GIVEN = {"words": ["a.tsv"]}


@pytest.mark.parametrize("name", NAMES)
def test_a_config_is_read_and_its_files_are_those_of_the_repository(name):
    config = Config().from_disk(CONFIGS / "adapting" / f"{name}.cfg", interpolate=False)
    missing = [key for key, value in config["paths"].items() if value is None]
    overrides = {f"paths.{key}": GIVEN.get(key, "a.tsv") for key in missing}
    settings, objectives = read_adapting(f"configs/adapting/{name}.cfg", overrides)
    assert objectives
    # Each setting is there to be seen, and has its default where the config has no reason for another
    assert set(vars(settings)) == set(config["adapting"])
    for value in config["paths"].values():
        for path in value.values() if isinstance(value, dict) else [value]:
            assert path is None or path.startswith("corpus/") or (ROOT / path).is_file()


def test_the_config_of_the_guide_can_be_used_with_the_part_that_it_shows(tmp_path):
    guide = (ROOT / "docs" / "adapting.md").read_text(encoding="utf8")
    config, part = re.findall(r"```ini\n(.*?)```", guide, re.DOTALL)
    (tmp_path / "mine.cfg").write_text(config + part, encoding="utf8")
    settings, objectives = read_adapting(tmp_path / "mine.cfg")
    assert settings.part.share == 0.05 and list(objectives) == ["words", "sentences"]


def test_paths_that_a_config_does_not_have_are_an_error():
    with pytest.raises(XltError, match="E514.*it has no paths.target; its paths are source, targets"):
        read_adapting("adapting/self_align", {"paths.source": "a.en", "paths.target": "a.pt"})


def test_sources_of_the_other_kind_and_what_is_none_are_errors():
    sentences = Sentences(paths={"pt": "a.pt"})
    pairs = ParallelLines(source="a.en", targets={"pt": "a.pt"})
    for value in (sentences, "a.en", None, {"source": "a.en"}):
        with pytest.raises(XltError, match="E150.*`pairs` of SelfAlign is .*spacy_xlt.ParallelLines.v1"):
            SelfAlign(pairs=value)
    with pytest.raises(XltError, match="E150.*`sentences` of MaskedLanguage is .*spacy_xlt.Sentences.v1"):
        MaskedLanguage(sentences=pairs)
    with pytest.raises(XltError, match="E150.*`pairs` of TranslationMasked"):
        TranslationMasked(pairs=sentences)


def test_links_are_of_languages_of_the_targets():
    with pytest.raises(XltError, match=r"E150.*`links`.*'de'.*languages of `targets` \(pt\)"):
        ParallelLines(source="a.en", targets={"pt": "a.pt"}, links={"de": "links"})


@pytest.mark.parametrize("name", ["a.txt", "a.pt"])
def test_plain_text_may_have_any_name(tmp_path, name):
    (tmp_path / name).write_text("Maria mora .\nEla canta .\n", encoding="utf8")
    read = list(Sentences(paths={"pt": str(tmp_path / name)}))
    assert read == [(["Maria", "mora", "."], "pt"), (["Ela", "canta", "."], "pt")]
