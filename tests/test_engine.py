"""Settings of engines: checked, pickled and put into signatures in one place."""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from typing import Any

import pytest
import spacy
from spacy.util import registry

from spacy_xlt.engine import Engine, setting
from spacy_xlt.errors import XltError


@dataclass(kw_only=True, eq=False)
class Sample(Engine):
    """An engine with settings of every kind."""

    share: float = setting(0.5, ge=0, le=1)
    size: int = setting(4, ge=1, decides=False)
    method: str = setting("inter", choices=("inter", "softmax"))
    names: list[str] | None = None
    inner: Any = None

    def __post_init__(self) -> None:
        super().__post_init__()
        self.loaded: list[int] = []

    def details(self) -> dict[str, Any]:
        return {"model": "m1"}

    def align(self, pairs: Any, *, contexts: Any = None) -> list[Any]:
        return []


registry.misc("test.Sample.v1", func=Sample)


def test_the_signature_has_what_decides_and_the_version_of_the_output():
    engine = Sample(names=["a"], inner=Sample(share=0.25))
    inner = "(Sample|share:0.25|method:inter|names:None|inner:None|model:m1|v1)"
    assert engine.signature == f"Sample|share:0.5|method:inter|names:[a]|inner:{inner}|model:m1|v1"
    assert Sample(size=9).signature == Sample().signature


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"share": 1.5}, "`share` of Sample is 1.5; expected a number from 0 to 1"),
        ({"share": float("nan")}, "`share` of Sample is nan"),
        ({"share": float("inf")}, "`share` of Sample is inf"),
        ({"share": True}, "`share` of Sample is True"),
        ({"size": 0}, "`size` of Sample is 0; expected a whole number from 1"),
        ({"size": 2.0}, "`size` of Sample is 2.0"),
        ({"method": "best"}, "`method` of Sample is 'best'; expected inter or softmax"),
        ({"names": "ab"}, "`names` of Sample is 'ab'; expected a list, or null"),
        ({"names": [1]}, "`names` of Sample is"),
    ],
)
def test_a_wrong_setting_is_named_with_its_value_and_what_is_expected(settings, said):
    with pytest.raises(XltError, match="E150") as caught:
        Sample(**settings)
    assert said in str(caught.value)


def test_what_is_loaded_is_not_pickled():
    engine = Sample(share=1)
    engine.loaded.append(1)
    copy = pickle.loads(pickle.dumps(engine))
    assert (copy.share, copy.loaded, copy.signature) == (1.0, [], engine.signature)


def test_a_class_is_made_from_a_config_with_its_defaults_filled_in():
    nlp = spacy.blank("en")
    pipe = nlp.add_pipe("xlt_aligner", config={"engine": {"@misc": "test.Sample.v1", "share": 1}})
    assert pipe.engine.share == 1.0
    assert nlp.config["components"]["xlt_aligner"]["engine"]["method"] == "inter"
    with pytest.raises(ValueError, match="unexpected argument: 'shares'"):
        nlp.add_pipe("xlt_aligner", name="b", config={"engine": {"@misc": "test.Sample.v1", "shares": 1}})
