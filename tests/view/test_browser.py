"""The page in a real browser: links, filters, keys."""

from __future__ import annotations

from helpers.view_bitexts import bitext, chinese, lisbon, many, side
from helpers.view_browser import linked, shown, wait_for_count, word


def test_links_appear_on_hover_with_their_scores_and_go_away(show):
    page = show([lisbon()])
    assert page.locator("svg.links").count() == 0
    word(page, "source", 6).hover()
    assert linked(page) == ["Lisboa"] and page.locator("svg.links path").count() == 1
    assert page.locator("svg.links text").all_text_contents() == ["0.74"]
    page.mouse.move(2, 2)
    assert page.locator("svg.links, .linked").count() == 0


def test_hovering_over_a_label_shows_the_links_of_the_whole_span(show):
    page = show([lisbon()])
    page.locator(".source .tag", has_text="PLACE").hover()
    assert linked(page) == ["o", "antigo", "porto", "de", "Lisboa"]
    assert "PLACE, span group sc" in page.inner_text("#detail")


def test_links_appear_on_keyboard_focus_and_are_said(show):
    page = show([lisbon()])
    page.keyboard.press("j")
    for _ in range(2):
        page.keyboard.press("ArrowRight")
    assert page.evaluate("document.activeElement.textContent") == "saw" and linked(page) == ["viu"]
    said = page.inner_text("#announcer")
    assert "saw" in said and "viu\u2069 0.99" in said
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.textContent") == "viu"
    page.keyboard.press("Escape")
    assert page.locator(".linked").count() == 0 and page.evaluate("document.activeElement.matches('.row')")


def test_spans_are_visited_with_the_keyboard_lost_ones_too(show):
    page = show([lisbon()])
    said = []
    for _ in range(8):
        page.keyboard.press("e")
        said.append(page.inner_text("#detail"))
    assert "PER, entity, lost: no_links" in said[0] and "no link" in said[0]
    assert [part.split("(")[1].split(",")[0] for part in said] == [
        "PER", "PLACE", "Sight", "TRIP", "LOC", "DATE", "DATE", "LOC",
    ]  # fmt: skip
    assert "score 0.42" in said[-1]
    page.keyboard.press("E")
    assert page.inner_text("#detail") == said[-2]


def test_spans_show_their_labels_scores_and_reasons_in_text(show):
    page = show([lisbon()])
    tags = [tag.replace("\u2060", "").replace("\xa0", " ") for tag in page.locator(".tag").all_text_contents()]
    assert tags == ["✗ PER", "Sight", "LOC", "PLACE", "DATE", "TRIP", "DATE 0.97", "LOC 0.42"]
    struck = page.locator("mark.lost .word")
    assert struck.inner_text() == "Maria" and "line-through" in struck.evaluate(
        "e => getComputedStyle(e).textDecoration"
    )
    assert "✗ lost PER “Maria”: no_links (no word of the span is linked" in page.inner_text(".notes")
    assert page.locator(".flag").all_inner_texts() == ["⚑ length_ratio"]


def test_filters_filter_together_and_stand_in_the_address(show):
    texts = [("Rio is big .", "LOC", 0.3), ("Rio is old .", "LOC", 0.9), ("Ana is old .", "PER", 0.4)]
    bitexts = [bitext(side(t, [(0, 1, label)]), side(t, [(0, 1, label)], scores=[score])) for t, label, score in texts]
    page = show([*bitexts, lisbon()])
    assert page.inner_text("#count") == "4 sentences"
    page.select_option("[name=label]", "=LOC")
    wait_for_count(page, "3 of 4 sentences")
    page.fill("[name=below]", "0.5")
    wait_for_count(page, "2 of 4 sentences")
    assert shown(page) == ["#1", "#4"]
    page.fill("[name=q]", "LISBO")
    wait_for_count(page, "1 of 4 sentences")
    assert page.locator(".hit").all_inner_texts() == ["Lisbon", "Lisboa"]
    page.wait_for_function("() => location.hash === '#q=LISBO&label=LOC&below=0.5'")
    page.click("[type=reset]")
    wait_for_count(page, "4 sentences")
    page.select_option("[name=lost]", "=no_links")
    wait_for_count(page, "1 of 4 sentences")
    page.select_option("[name=label]", "=LOC")
    wait_for_count(page, "0 of 4 sentences")
    assert page.inner_text("#nothing") == "No sentence passes the filters."


def test_a_page_opens_at_what_its_address_says(show):
    page = show([lisbon(), *many(300)], at="#lost=any&at=109")
    assert page.inner_text("#count") == "4 of 301 sentences"
    assert page.locator(".row.current b").inner_text() == "#109"
    assert page.input_value("[name=lost]") == "any"


def test_sentences_are_stepped_through_with_the_keyboard(show):
    page = show(list(many(400)))
    current = ".row.current b"
    for key, number in [("j", 2), ("ArrowDown", 3), ("k", 2), ("PageDown", 7), ("End", 400), ("Home", 1), ("l", 8)]:
        page.keyboard.press(key)
        assert page.locator(current).inner_text() == f"#{number}", key
    assert page.evaluate("document.activeElement.matches('.row.current')")
    box = page.locator(".row.current").bounding_box()
    assert box["y"] > 0 and box["y"] + box["height"] < 800
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.name") == "q"
    page.keyboard.type("jk")
    assert page.input_value("[name=q]") == "jk"


def test_the_focus_stays_while_one_scrolls_away(show):
    page = show(list(many(400)))
    page.keyboard.press("j")
    page.evaluate("document.getElementById('scroller').scrollTop = 20000")
    page.wait_for_function("() => document.querySelectorAll('.row')[1].position > 20")
    assert page.evaluate("document.activeElement.dataset.row") == "1"
    page.keyboard.press("j")
    assert page.locator(".row.current b").inner_text() == "#3" and page.locator(".row.current").is_visible()


def test_the_help_names_every_key_and_gives_the_focus_back(show):
    page = show([lisbon()])
    page.keyboard.press("?")
    text = page.inner_text("dialog")
    assert "next sentence" in text and "a span that was lost" in text
    page.keyboard.press("j")
    assert page.locator("dialog[open]").count() == 1
    page.keyboard.press("Escape")
    assert page.locator("dialog[open]").count() == 0


def test_the_tab_key_reaches_everything_and_the_focus_is_seen(show):
    page = show([lisbon(), chinese()])
    reached = []
    for _ in range(10):
        page.keyboard.press("Tab")
        at = "document.activeElement"
        reached.append(page.evaluate(f"{at}.name || {at}.id || {at}.className || {at}.type || {at}.tagName"))
        if reached[-1] == "BODY":
            break
        assert page.evaluate(f"{at}.matches(':focus-visible') && getComputedStyle({at}).outlineWidth") == "3px"
    # nothing was lost in the second sentence, but in the first, so all lists have something to choose from
    assert reached[:7] == ["help-button", "q", "label", "lost", "below", "flag", "reset"]
    assert reached[7].startswith("row")


def test_roles_and_places_for_those_who_listen(show):
    page = show([lisbon(), chinese()])
    assert page.get_attribute("#rows", "role") == "feed" and page.get_attribute("#count", "role") == "status"
    assert page.get_attribute(".row", "aria-posinset") == "1" and page.get_attribute(".row", "aria-setsize") == "2"
    assert page.get_attribute("#announcer", "aria-live") == "polite"
    unnamed = "e => e.filter(f => !f.labels?.length && !f.textContent.trim()).length"
    assert page.eval_on_selector_all("input, select, button", unnamed) == 0
