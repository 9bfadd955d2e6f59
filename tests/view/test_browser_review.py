"""Review in a real browser: marks by key and by mouse, what is saved, kept and loaded again."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers.view_bitexts import arabic, bitext, hostile, lisbon, many, side
from helpers.view_browser import wait_for_count, word

from spacy_xlt import Bitext, render
from spacy_xlt.readers.jsonl import annotated_texts
from spacy_xlt.review.records import Corrections


@pytest.fixture
def open_review(show: Callable[..., Any]) -> Callable[..., Any]:
    """Open bitexts to be reviewed."""

    def open_page(bitexts: list[Bitext], **options: Any) -> Any:
        page = show(render(bitexts, review=True), **options)
        page.on("dialog", lambda dialog: dialog.accept())
        return page

    return open_page


def saved(page: Any, tmp_path: Path) -> Path:
    """Press Save."""
    with page.expect_download() as info:
        page.keyboard.press("Control+s")
    path = tmp_path / info.value.suggested_filename
    info.value.save_as(path)
    return path


def choose(page: Any, text: str, *, row: int = 0) -> None:
    """Give the focus to a span of a target, by its label and score."""
    mark = page.locator(f'.row[data-row="{row}"] .target mark', has_text=text).first
    mark.evaluate("mark => { mark.tabIndex = -1; mark.focus() }")


def corrected(path: Path, one: Bitext) -> set[tuple[str, str]]:
    """The entities of a bitext after the corrections of a file."""
    assert Corrections(path).apply(one)
    return {(ent.text, ent.label_) for ent in one.target.ents}


def said(page: Any, text: str) -> bool:
    """Whether the page says this, or comes to: what a key brings about may come some time after the key."""
    message = "document.getElementById('review-message').innerText.replace(/[\u2068\u2069]/g, '')"
    try:
        page.wait_for_function(f"text => {message} === text", arg=text, timeout=10_000)
    except Exception as err:
        raise AssertionError(f"{page.evaluate(message)!r} where {text!r} was expected") from err
    return True


def test_marks_by_key_are_saved_and_read_back(open_review, tmp_path):
    page = open_review([lisbon()])
    choose(page, "DATE")
    page.keyboard.press("r")
    assert said(page, "DATE “maio” is right.")
    choose(page, "LOC")
    page.keyboard.press(",")
    page.keyboard.press(",")
    assert said(page, "LOC “porto de Lisboa”.")
    page.keyboard.press("d")
    assert page.inner_text("#review-count") == "1 of 1 reviewed · not saved yet."
    tags = [tag.replace("\xa0", " ") for tag in page.locator(".target .tag .verdict").all_text_contents()]
    assert tags == [" ✓ right", " ↔ moved"] and page.inner_text(".state") == "☑ reviewed"
    path = saved(page, tmp_path)
    assert page.inner_text("#review-count") == "1 of 1 reviewed."
    data = json.loads(path.read_text("utf8"))
    assert data["answer"] == "accept" and data["text"] == "Em maio viu o antigo porto de Lisboa ."
    assert [data["text"][span["start"] : span["end"]] for span in data["spans"]] == ["maio", "porto de Lisboa"]
    assert (data["spans"][1]["token_start"], data["spans"][1]["token_end"]) == (5, 7)
    one = lisbon()
    assert corrected(path, one) == {("maio", "DATE"), ("porto de Lisboa", "LOC")}
    assert one.target.spans["xlt_ents"].attrs["scores"] == [1.0, 1.0]
    assert one.target.spans["xlt_ents"].attrs["reviewed"] == [True, True]


def test_the_ends_are_moved_with_the_mouse(open_review, tmp_path):
    page = open_review([lisbon()])
    word(page, "target", 7).click()
    handle = page.locator(".handle.start").bounding_box()
    to = word(page, "target", 3).bounding_box()
    page.mouse.move(handle["x"] + handle["width"] / 2, handle["y"] + handle["height"] / 2)
    page.mouse.down()
    page.mouse.move(to["x"] + to["width"] / 2, to["y"] + to["height"] / 2, steps=5)
    page.mouse.up()
    assert said(page, "LOC “o antigo porto de Lisboa”.")
    assert "↔ moved: LOC" in page.inner_text(".notes")
    assert corrected(saved(page, tmp_path), lisbon()) == {("maio", "DATE"), ("o antigo porto de Lisboa", "LOC")}


def test_ends_stay_in_the_sentence_and_entities_do_not_overlap(open_review):
    page = open_review([lisbon()])
    choose(page, "LOC")
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("Shift+ArrowRight")
    assert said(page, "It cannot go further.")
    for _ in range(6):
        page.keyboard.press(",")
    assert said(page, "DATE “maio” is in the way: entities cannot overlap.")
    for _ in range(8):
        page.keyboard.press("u")
    assert said(page, "There is nothing to undo.") and page.locator(".verdict").count() == 0


def test_an_end_moves_to_the_left_where_text_runs_there(open_review):
    page = open_review([arabic()])
    choose(page, "LOC")
    page.keyboard.press("Shift+ArrowLeft")
    assert said(page, "LOC “القاهرة عام”.")
    start, end = (page.locator(f".handle.{edge}").bounding_box()["x"] for edge in ("start", "end"))
    assert end < start


def test_wrong_label_and_undo(open_review, tmp_path):
    page = open_review([lisbon()])
    choose(page, "DATE")
    page.keyboard.press("w")
    assert "✗ wrong" in page.inner_text(".target") and page.locator(".target mark.lost").count() == 1
    choose(page, "LOC")
    page.keyboard.press("t")
    page.fill("[name=label]:visible >> nth=-1", "CITY")
    page.keyboard.press("Enter")
    assert said(page, "CITY “Lisboa”.") and "✎ label changed" in page.inner_text(".target")
    assert corrected(saved(page, tmp_path), lisbon()) == {("Lisboa", "CITY")}
    page.keyboard.press("u")
    page.keyboard.press("u")
    assert page.locator(".verdict").count() == 0


def test_a_lost_span_is_placed_on_chosen_words(open_review, tmp_path):
    page = open_review([lisbon()])
    for _ in range(3):  # two spans of the translation, and then the source
        page.keyboard.press("e")
    assert "To place PER" in page.inner_text("#review-hint")
    word(page, "target", 3).click()
    page.keyboard.press("Shift+ArrowRight")
    assert page.locator(".picked").all_inner_texts() == ["o", "antigo"]
    page.keyboard.press("a")
    assert said(page, "PER “o antigo” placed.")
    one = lisbon()
    assert ("o antigo", "PER") in corrected(saved(page, tmp_path), one)
    assert one.lost == [] and one.target.spans["xlt_ents"].attrs["sources"][1] == 0


def test_e_begins_on_the_side_that_can_be_edited(open_review):
    page = open_review([lisbon()])
    page.keyboard.press("e")
    assert page.evaluate("document.activeElement.closest('.side').dataset.side") == "target"
    page.keyboard.press("r")
    assert said(page, "DATE “maio” is right.")
    page.keyboard.press("e")
    page.keyboard.press("e")
    assert page.evaluate("document.activeElement.closest('.side').dataset.side") == "source"


def test_a_span_is_added_from_words_drawn_over_with_the_mouse(open_review, tmp_path):
    page = open_review([lisbon()])
    boxes = [word(page, "target", n).bounding_box() for n in (3, 5)]
    page.mouse.move(boxes[0]["x"] + 1, boxes[0]["y"] + 9)
    page.mouse.down()
    page.mouse.move(boxes[1]["x"] + boxes[1]["width"] - 1, boxes[1]["y"] + 9, steps=4)
    page.mouse.up()
    assert page.locator(".picked").all_inner_texts() == ["o", "antigo", "porto"]
    page.get_by_role("button", name="+ Add").click()
    page.fill("[name=label]:visible >> nth=-1", "FAC")
    page.keyboard.press("Enter")
    assert said(page, "FAC “o antigo porto” added.")
    assert ("o antigo porto", "FAC") in corrected(saved(page, tmp_path), lisbon())


def test_marks_survive_a_reload_and_leaving_unsaved_is_asked_about(open_review, tmp_path):
    page = open_review([lisbon(), arabic()])
    asked = []
    page.on("dialog", lambda dialog: asked.append(dialog.type))
    choose(page, "DATE")
    page.keyboard.press("w")
    page.reload()
    page.wait_for_selector(".verdict")
    assert asked == ["beforeunload"] and "0 of 2 reviewed, 1 begun · not saved yet" in page.inner_text("#review-count")
    saved(page, tmp_path)
    page.reload()
    page.wait_for_selector(".verdict")
    assert asked == ["beforeunload"] and "not saved" not in page.inner_text("#review-count")


def test_a_saved_file_is_loaded_into_a_fresh_page(open_review, tmp_path):
    page = open_review([lisbon(), arabic()])
    choose(page, "LOC")
    page.keyboard.press(",")
    page.keyboard.press("j")
    page.keyboard.press("x")
    path = saved(page, tmp_path)
    fresh = open_review([lisbon(), arabic()])
    assert fresh.locator(".verdict").count() == 0
    fresh.set_input_files("#review-file", path)
    fresh.wait_for_selector(".verdict")
    assert said(fresh, "2 sentences loaded.")
    assert "⊘ unusable" in fresh.locator(".state").all_inner_texts()[1]
    again = saved(fresh, tmp_path / "again")
    assert again.read_text("utf8") == path.read_text("utf8")


def test_files_that_are_no_marks_of_this_page_change_nothing(open_review, tmp_path):
    other = open_review([arabic()])
    other.keyboard.press("d")
    path = saved(other, tmp_path)
    page = open_review([lisbon()])
    page.set_input_files("#review-file", path)
    assert said(page, "None of its lines is about a sentence of this page. Nothing was loaded.")
    path.write_text(path.read_text("utf8") + "{broken\n", encoding="utf8")
    page.set_input_files("#review-file", path)
    page.wait_for_function("() => document.getElementById('review-message').textContent.startsWith('Line 2')")
    assert page.locator(".state").count() == 0


def test_the_filter_shows_what_is_not_reviewed_yet(open_review):
    page = open_review(list(many(3)))
    page.keyboard.press("d")
    page.select_option("[name=review]", "=open")
    wait_for_count(page, "2 of 3 sentences")
    page.select_option("[name=review]", "=done")
    wait_for_count(page, "1 of 3 sentences")
    page.click("[type=reset]")
    wait_for_count(page, "3 sentences")
    page.keyboard.press("Escape")
    page.keyboard.press("n")
    assert page.locator(".row.current b").inner_text() == "#2"


def test_characters_beyond_the_basic_plane_count_as_in_python(open_review, tmp_path):
    words = "👩‍👩‍👧 𝔏isboa 🇵🇹 é linda".split()
    page = open_review([bitext(side(words), side(" ".join(words), [(1, 2, "LOC"), (3, 4, "X")], scores=[0.5, 0.5]))])
    page.keyboard.press("d")
    (one,) = annotated_texts(saved(page, tmp_path))
    assert one.words == words and one.spans == [(1, 2, "LOC", "ents"), (3, 4, "X", "ents")]


def test_text_that_looks_like_markup_is_saved_as_it_is_and_never_run(open_review, tmp_path):
    page = open_review([hostile()])
    choose(page, "<b onclick")
    page.keyboard.press(".")
    page.keyboard.press("w")
    page.keyboard.press("d")
    path = saved(page, tmp_path)
    assert page.evaluate("window.ran") is None and page.locator("#review b, .notes b").count() == 0
    # White space at the ends of a span is no part of it
    ents = corrected(path, hostile())
    assert ents == {("&amp;", '"];window.ran=1//')}


def test_where_the_browser_keeps_nothing_the_page_says_so(show):
    html = render([lisbon()], review=True, page=False, height=500)
    page = show(f"<!DOCTYPE html><p class=row>frame</p>{html}")
    frame = page.frames[1]
    frame.wait_for_selector(".target")
    assert "keeps nothing for this page" in frame.inner_text("#review-count")


def test_the_bar_is_reached_by_keyboard_and_is_not_there_without_review(show, open_review):
    page = open_review([lisbon()])
    names = page.locator("#review button").all_inner_texts()
    assert names[0] == "✓ Right r" and "Save Ctrl S" in names
    page.locator("#review button").first.focus()
    page.keyboard.press("Enter")
    assert page.inner_text("#review-message").startswith("Choose a span")
    page.keyboard.press("?")
    plain = show([lisbon()])
    assert not plain.is_visible("#review") and not plain.is_visible("[name=review]")
    plain.keyboard.press("d")
    assert plain.locator(".state").count() == 0
