"""Parallel text of all the forms in which it lies on disks."""

from __future__ import annotations

from pathlib import Path

import pytest

from spacy_xlt.build.parallel_files import find_parallel
from spacy_xlt.errors import XltError


def write(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf8")
    return folder


def read(paths, *, source="en", targets=()):
    """The lines of each language, or the code of what is wrong with it."""
    result = {}
    for text in find_parallel(paths, source=source, targets=targets):
        try:
            result[text.target] = [tuple(row) for row in text.rows]
        except XltError as err:
            result[text.target] = err.code
    return result


NTREX = {
    "test-src.eng.txt": "One.\nTwo.\n",
    "test-ref.srp-Cyrl.txt": "Један.\nДва.\n",
    "test-ref.srp-Latn.txt": "Jedan.\nDva.\n",
    "test-ref.por.txt": "Um.\n\n",
    "LICENSE.md": "CC BY-SA 4.0",
}


def test_two_files_are_read_line_by_line_and_empty_lines_keep_their_place(tmp_path):
    write(tmp_path, {"a.en": "One.\n\nThree.\n", "a.de": "Eins.\nZwei.\n \n"})
    assert read([tmp_path / "a.en", tmp_path / "a.de"]) == {
        "de": [("a.en:1", "One.", "Eins."), ("a.en:2", "", "Zwei."), ("a.en:3", "Three.", "")]
    }


def test_language_of_two_files_that_their_names_do_not_tell_is_asked_for(tmp_path):
    write(tmp_path, {"source.txt": "One.\n", "target.txt": "Eins.\n"})
    paths = [tmp_path / "source.txt", tmp_path / "target.txt"]
    with pytest.raises(XltError, match="E510.*--targets"):
        find_parallel(paths, source="en", targets=[])
    assert read(paths, targets=["de"]) == {"de": [("source.txt:1", "One.", "Eins.")]}


def test_a_language_that_is_asked_for_twice_is_read_once(tmp_path):
    write(tmp_path, {"a.en": "One.\n", "a.de": "Eins.\n"})
    assert len(find_parallel([tmp_path], source="en", targets=["de", "de"])) == 1
    assert len(find_parallel([tmp_path / "a.en", tmp_path / "a.de"], source="en", targets=["de", "de"])) == 1


def test_a_file_beside_itself_is_no_parallel_text(tmp_path):
    write(tmp_path, {"a.en": "One.\n"})
    with pytest.raises(XltError, match="E510.*--parallel.*they are one"):
        find_parallel([tmp_path / "a.en", tmp_path / "a.en"], source="en", targets=["de"])


def test_folder_of_moses_has_a_source_of_its_own_for_each_pair(tmp_path):
    write(
        tmp_path,
        {
            "news.en-de.en": "One.\n",
            "news.en-de.de": "Eins.\n",
            "news.en-sv.en": "Two.\n",
            "news.en-sv.sv": "Två.\n",
            "web.de-en.de": "Drei.\n",
            "web.de-en.en": "Three.\n",
        },
    )
    assert read([tmp_path]) == {
        "de": [("news.en-de.en:1", "One.", "Eins."), ("web.de-en.en:1", "Three.", "Drei.")],
        "sv": [("news.en-sv.en:1", "Two.", "Två.")],
    }


def test_folder_with_codes_in_names_gives_all_languages_with_their_scripts(tmp_path):
    found = read([write(tmp_path, NTREX)])
    assert list(found) == ["por", "srp-Cyrl", "srp-Latn"]
    assert found["srp-Latn"] == [("test-src.eng.txt:1", "One.", "Jedan."), ("test-src.eng.txt:2", "Two.", "Dva.")]


def test_names_may_begin_with_the_code(tmp_path):
    write(tmp_path, {"eng_Latn.dev": "One.\n", "deu_Latn.dev": "Eins.\n", "eng_Latn.devtest": "Two.\n"})
    assert read([tmp_path], targets=["de"]) == {"de": [("eng_Latn.dev:1", "One.", "Eins.")]}


def test_languages_are_found_by_other_codes_and_called_as_they_are_asked_for(tmp_path):
    found = read([write(tmp_path, NTREX)], targets=["pt", "sr-Cyrl", "sr", "fi", "klingon"])
    assert found["pt"][0][2] == "Um." and found["sr-Cyrl"][1][2] == "Два."
    assert {name: found[name] for name in ("sr", "fi", "klingon")} == {"sr": "E552", "fi": "E552", "klingon": "E010"}


def test_columns_are_named_by_the_first_line_or_by_the_options(tmp_path):
    write(tmp_path, {"a.tsv": "de\ten\tsv\nEins.\tOne.\tEtt.\n\nZwei.\tTwo.\t\n", "b.tsv": "One.\tEins.\tEtt.\n"})
    found = read([tmp_path / "a.tsv"])
    assert found["sv"] == [("a.tsv:2", "One.", "Ett."), ("a.tsv:3", "", ""), ("a.tsv:4", "Two.", "")]
    assert found["de"][2] == ("a.tsv:4", "Two.", "Zwei.")
    assert read([tmp_path / "b.tsv"], targets=["de", "sv"])["sv"] == [("b.tsv:1", "One.", "Ett.")]


def test_row_with_too_few_columns_is_named(tmp_path):
    write(tmp_path, {"a.tsv": "en\tde\nOne.\tEins.\nTwo.\n"})
    (text,) = find_parallel([tmp_path / "a.tsv"], source="en", targets=["de"])
    with pytest.raises(XltError, match=r"E531.*a\.tsv, line 3: 1 columns"):
        _ = text.rows


def test_units_of_tmx_that_lack_a_language_are_empty_there(tmp_path):
    unit = "<tu>{}</tu>".format
    variant = '<tuv xml:lang="{}"><seg>{}</seg></tuv>'.format
    body = unit(variant("en-US", "One.") + variant("de", "Eins.")) + unit(variant("en-US", "Two."))
    write(tmp_path, {"a.tmx": f'<tmx version="1.4"><header/><body>{body}</body></tmx>'})
    assert read([tmp_path / "a.tmx"]) == {"de": [("a.tmx:1", "One.", "Eins."), ("a.tmx:2", "Two.", "")]}


def test_languages_with_the_same_source_lines_share_them(tmp_path):
    first, second, _ = find_parallel([write(tmp_path, NTREX)], source="en", targets=[])
    assert first.source_digest == second.source_digest and first.digest != second.digest


def test_sides_of_different_length_fail_with_both_counts(tmp_path):
    write(tmp_path, {"a.en": "One.\n" * 3, "a.de": "Eins.\n" * 2})
    (text,) = find_parallel([tmp_path / "a.en", tmp_path / "a.de"], source="en", targets=[])
    with pytest.raises(XltError, match=r"E234.*a\.en has 3 and .*a\.de has 2"):
        _ = text.rows


@pytest.mark.parametrize(("source", "code"), [("sv", "E510"), ("klingon", "E010")])
def test_source_language_that_is_not_there_is_an_error(tmp_path, source, code):
    with pytest.raises(XltError) as caught:
        find_parallel([write(tmp_path, NTREX)], source=source, targets=[])
    assert caught.value.code == code
