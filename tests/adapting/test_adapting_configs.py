"""The configs of adaptations that ship."""

import pytest
from helpers.paths import CONFIGS, ROOT
from thinc.api import Config

from spacy_xlt.adapting.config import read_adapting

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
