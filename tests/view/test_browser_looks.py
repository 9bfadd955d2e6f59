"""The page in a real browser: text that must not run, scripts of other directions, themes, narrow screens, paper."""

from __future__ import annotations

from helpers.view_bitexts import arabic, bitext, chinese, hebrew, hostile, lisbon, long_sentence, many, side, thai
from helpers.view_browser import linked, wait_for_count, word

from spacy_xlt import render
from spacy_xlt.view.data import payload
from spacy_xlt.view.page import page_of


def test_text_is_shown_and_never_run(show):
    page = show([hostile(), lisbon()])
    assert page.evaluate("window.ran") is None
    assert word(page, "source", 0).inner_text() == "</script><script>window.ran=1</script>"
    page.keyboard.press("e")
    assert page.evaluate("window.ran") is None and page.locator(".side img, .side script, .side b").count() == 0
    assert "<b onclick=window.ran=1>" in page.inner_text(".source")
    page.select_option("[name=flag]", index=2)
    wait_for_count(page, "1 of 2 sentences")


def test_a_script_that_came_in_some_other_way_does_not_run(show, browser):
    html = render([lisbon()]).replace("</body>", "<script>window.ran = 1</script></body>")
    context = browser.new_context()
    page = context.new_page()
    page.set_content(html)
    page.wait_for_selector(".row")
    assert page.evaluate("window.ran") is None
    blocked = "fetch('https://example.org').then(() => 'went out', () => 'stayed')"
    assert page.evaluate(blocked) == "stayed"
    context.close()


def test_arabic_and_hebrew_run_from_right_to_left(show):
    page = show([arabic(), hebrew()])
    assert page.locator(".target").first.get_attribute("dir") == "rtl"
    for row, tokens in ((0, (0, 1, 2, 3)), (1, (0, 1, 2, 3))):
        edges = [word(page, "target", n, row=row).bounding_box()["x"] for n in tokens]
        assert edges == sorted(edges, reverse=True)
    name, tag = (
        page.locator(f'.row[data-row="0"] .target mark >> nth=0 >> {css}') for css in (".word >> nth=-1", ".tag")
    )
    assert tag.bounding_box()["x"] < name.bounding_box()["x"]
    box = page.locator(".target").first.bounding_box()
    first = word(page, "target", 0).bounding_box()
    assert abs(first["x"] + first["width"] - box["x"] - box["width"]) < 3
    # the arrow to the left leads on, as the text does
    word(page, "target", 1).click()
    page.keyboard.press("ArrowLeft")
    assert page.evaluate("document.activeElement.dataset.i") == "2"


def test_chinese_and_thai_have_no_spaces_and_their_words_are_apart(show):
    page = show([chinese(), thai()])
    for row, n in ((0, 7), (1, 5)):
        boxes = [word(page, "target", token, row=row).bounding_box() for token in range(n)]
        assert [box["x"] for box in boxes] == sorted(box["x"] for box in boxes)
        assert all(box["width"] > 0 for box in boxes)
    middle = [word(page, "target", token).bounding_box() for token in (1, 2)]
    assert abs(middle[0]["x"] + middle[0]["width"] - middle[1]["x"]) < 1
    word(page, "source", 4).hover()
    assert linked(page) == ["上海"]
    page.fill("[name=q]", "到了上")
    wait_for_count(page, "1 of 2 sentences")
    assert page.locator(".hit").all_inner_texts() == ["到", "了", "上海"]


def test_a_narrow_screen_has_the_source_above_and_nothing_to_scroll_sideways(show):
    page = show([lisbon(), arabic(), chinese(), hostile(), long_sentence(200)], width=320, height=640)
    source, target = (page.locator(f".{which}").first.bounding_box() for which in ("source", "target"))
    assert source["y"] + source["height"] <= target["y"] and source["x"] == target["x"]
    page.keyboard.press("End")
    for element in ("document.documentElement", "document.getElementById('scroller')"):
        assert page.evaluate(f"{element}.scrollWidth <= {element}.clientWidth")
    page.click("summary")
    assert page.locator("[name=q]").is_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 320


def test_no_motion_where_it_is_not_wanted(show):
    names = {}
    for motion in ("reduce", "no-preference"):
        page = show([lisbon()], reduced_motion=motion)
        word(page, "source", 6).hover()
        names[motion] = page.locator("svg.links path").evaluate("e => getComputedStyle(e).animationName")
    assert names == {"reduce": "none", "no-preference": "draw"}


def test_no_entities_at_all(show):
    page = show([bitext(side("nothing here"), side("nada aqui"))])
    assert page.locator("mark").count() == 0 and page.locator("select[name=label]").is_disabled()
    page.keyboard.press("?")
    assert page.locator("dialog mark").count() == 3


def test_no_sentences_at_all(show):
    assert show(page_of(payload([], title="empty"))).inner_text("#nothing") == "There are no sentences to show."


def test_without_javascript_the_page_says_so(show, browser, tmp_path):
    (tmp_path / "still.html").write_text(render([lisbon()]), encoding="utf8")
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto((tmp_path / "still.html").as_uri())
    assert "This page holds 1 pairs of sentences" in page.inner_text("main")
    context.close()


def test_all_rows_are_there_on_paper(show):
    page = show(list(many(200)))
    assert page.locator(".row").count() < 60
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator(".row").count() == 200
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.locator(".row").count() < 60


def test_in_a_frame_of_a_notebook(show):
    html = render([lisbon()], page=False)
    page = show(f'<p class="row">around</p>{html}')
    inside = page.frame_locator("iframe")
    inside.locator(".word", has_text="saw").hover()
    assert inside.locator(".target .linked").all_inner_texts() == ["viu"]
    inside.locator("[name=q]").fill("no such words")
    inside.locator("#nothing:not([hidden])").wait_for()
