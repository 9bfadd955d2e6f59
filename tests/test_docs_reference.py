"""The reference is what the code says, and says something of every setting."""

from __future__ import annotations

import importlib.util
import re
from types import ModuleType

import pytest
from helpers.paths import ROOT


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_reference", ROOT / "docs" / "make_reference.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def page(script) -> str:
    return script.make()


def test_the_reference_is_up_to_date(script, page):
    current = script.PAGE.read_text(encoding="utf8")
    changed = set(page.splitlines()) ^ set(current.splitlines())
    assert page == current, f"Run: {script.COMMAND}\nFor example: {sorted(changed)[:4]}"


def test_everything_registered_is_in_it_with_its_settings(script, page):
    names = [name for group, points in script.entry_points().items() if group != "spacy_cli" for name in points]
    assert len(names) > 40
    assert [name for name in names if f'"{name}"`' not in page and f"### `{name}`" not in page] == []
    assert "| `threshold` | `0.6` | *float.* What the probability of a link must exceed." in page


def test_every_entry_begins_with_what_it_is(page):
    entries = re.split(r"^### ", page.partition("## Errors and warnings")[0], flags=re.MULTILINE)[1:]
    bare = [entry.splitlines()[0] for entry in entries if not re.search(r"^[A-Z`][^|\n]{15,}", entry, re.MULTILINE)]
    assert bare == []


def test_settings_of_a_docstring_are_told_from_its_text(script):
    def thing(first, second=None):
        """What it is: a thing.

        Note: this is no setting.

        first (str): The first,
            in two lines.
        second (int | None): See `other`.
        RETURNS (str): Nothing.
        RAISES (XltError): Never.
        """

    assert script.intro_of(thing) == "What it is: a thing.\n\nNote: this is no setting."
    assert script.settings_of(thing) == {
        "first": ("str", "The first, in two lines."),
        "second": ("int | None", "See `other`."),
    }
