"""Colours of labels and of the page: as displaCy has them, and with contrast enough."""

from __future__ import annotations

import re
from itertools import combinations

import pytest
from helpers.view_bitexts import lisbon
from hypothesis import given, settings
from hypothesis import strategies as st
from spacy.displacy.render import DEFAULT_LABEL_COLORS

from spacy_xlt import render
from spacy_xlt.errors import XltError
from spacy_xlt.view.colors import LINE_CONTRAST, TEXT_CONTRAST, THEMES, _distance, contrast, label_colors
from spacy_xlt.view.page import _static


def check_colors(looks):
    for label, pair in looks.items():
        for theme, look in zip(THEMES, pair, strict=True):
            assert contrast(look.background, look.foreground) >= TEXT_CONTRAST, (label, theme)
            assert contrast(look.edge, THEMES[theme]["--page"]) >= LINE_CONTRAST - 1e-9, (label, theme)


def test_every_colour_of_displacy_and_those_made_up_can_be_read_in_both_themes():
    check_colors(label_colors([*DEFAULT_LABEL_COLORS, "PER", "", "地名", *(f"LABEL_{n}" for n in range(400))]))


@given(st.from_regex(r"\A#([0-9a-fA-F]{3}|[0-9a-fA-F]{6})\Z"))
@settings(deadline=None)
def test_any_colour_that_a_person_gives_can_be_read(color):
    check_colors(label_colors(["X"], {"X": color}))


@pytest.mark.parametrize("theme", THEMES)
def test_the_page_itself_can_be_read(theme):
    colors = THEMES[theme]
    for below in ("--page", "--panel"):
        for text in ("--text", "--faint", "--accent", "--warning"):
            assert contrast(colors[text], colors[below]) >= TEXT_CONTRAST, (text, below)
        assert contrast(colors["--edge"], colors[below]) >= LINE_CONTRAST


def test_the_style_sheet_has_no_colours_of_its_own():
    css = _static("page.css")
    assert set(re.findall(r"#[0-9a-f]{3,8}\b(?=[;\s])", css)) <= {"#0008"}
    used = set(re.findall(r"var\((--[a-z-]+)", css))
    assert (
        used - {"--levels", "--level", "--arcs", "--label", "--on-label", "--label-edge"}
        <= set(THEMES["light"])
        == set(THEMES["dark"])
    )


def test_known_labels_look_as_in_displacy_and_others_stay_as_they_are():
    looks = label_colors(["LOC", "PER", "gpe", "WHATEVER"])
    assert looks["LOC"][0].background == DEFAULT_LABEL_COLORS["LOC"]
    assert looks["PER"][0].background == DEFAULT_LABEL_COLORS["PERSON"]
    assert looks["gpe"][0].background == DEFAULT_LABEL_COLORS["GPE"]
    assert label_colors(["A", "WHATEVER", "Z"])["WHATEVER"] == looks["WHATEVER"]
    assert contrast("#000000", "#ffffff") == pytest.approx(21) and contrast("#777777", "#ffffff") == pytest.approx(
        4.48, abs=0.01
    )


@pytest.mark.parametrize(
    "labels",
    [
        ["DATE", "TIME", "MONEY", "PERCENT", "PER", "PERSON"],
        ["ACT", "DISEASE", "DRUG", "X1", "X2", "PRODUCT", "GENE"],
        [f"LABEL_{n}" for n in range(10)],
    ],
)
def test_labels_of_a_page_do_not_share_a_colour(labels):
    looks = label_colors(labels, distinct=True)
    colors = [look.background for look, _ in looks.values()]
    assert min(_distance(a, b) for a, b in combinations(colors, 2)) >= 0.08
    check_colors(looks)
    assert label_colors(["PER"], distinct=True)["PER"] == label_colors(["PER"])["PER"]


def test_colours_that_a_person_gives_stay_also_where_they_are_alike():
    looks = label_colors(["A", "B"], {"A": "#7aecec", "B": "#7aecec"}, distinct=True)
    assert {look.background for look, _ in looks.values()} == {"#7aecec"}


def test_colours_that_a_package_gives_displacy_are_used():
    from spacy.util import registry

    registry.displacy_colors("test_view", func={"mine": "#123456", "OTHER": "linear-gradient(90deg, #aa9cfc, #fc9ce7)"})
    try:
        looks = label_colors(["MINE", "OTHER"])
    finally:
        registry.displacy_colors._entry_points = registry.displacy_colors.entry_points
        import catalogue

        catalogue._remove(("spacy", "displacy_colors", "test_view"))
    assert looks["MINE"][0].background == "#123456" and looks["OTHER"] == label_colors(["OTHER"])["OTHER"]


@pytest.mark.parametrize("value", ["red;}</style>", "red", 5, None])
def test_what_is_no_colour_is_refused(value):
    with pytest.raises(XltError, match="E561.*PER"):
        render(lisbon(), colors={"PER": value})
