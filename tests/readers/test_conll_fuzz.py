"""Columns with slips in them: each token and tag of the file is read, or an error or a warning says what is not."""

from __future__ import annotations

import re

from helpers.fuzz import Reading, fuzzed, mutated, read
from hypothesis import example, given
from hypothesis import strategies as st

ROWS = {
    "conll": b"Ana NNP B-PER\nMota NNP I-PER\nsings V O\n. . O\n\n# text = x\n# # O\n10\xc2\xa0000 CD O\n. . -\n\n",
    "tsv": "Ana Mota\tB-PER\nsings\tO\n\n東京\tU-LOC\n# a comment\n.\tO\n\n".encode(),
    "iob2": b"# text = Ana sings\n1\tAna\tB-PER\t-\n2\tsings\tO\t-\n\n1-2\tdel\t_\t-\n1\tde\tO\t-\n2\tel\tB-X\t-\n\n",
}
N_CELLS = {"conll": 3, "tsv": 2, "iob2": 4}
TAG = re.compile(r"O|-|[BIESLU]-\S+")
COLUMNS = {"conll": (0, -1), "tsv": (0, 1), "iob2": (1, 2)}
TOKENS = st.text(st.characters(codec="utf-8", exclude_characters="\t\n\r \ufeff"), min_size=1, max_size=12)
TAGS = st.sampled_from(["O", "B-PER", "I-PER", "I-LOC", "S-X", "-"])


def simply(data: bytes, format: str) -> list[tuple[str, str, bool]]:
    """Tokens and tags of all lines but blank ones and comments, and whether they may be ranges of CoNLL-U."""
    found = []
    lines = [line.lstrip("\ufeff") for line in re.split("\r\n|\r|\n", data.decode("utf8"))]
    has_tabs = "\t" in next((line for line in lines if re.match("[ \t]*[^# \t]", line)), "\t")
    for line in lines:
        cells = [cell.strip(" ") for cell in line.split("\t")] if has_tabs else re.findall("[^ \t]+", line)
        while cells and not cells[-1]:
            cells.pop()
        # Before the token's column, "#" alone may be a cell like others
        can_be_row = len(cells) == N_CELLS[format] and (format != "iob2" or cells[0] == "#")
        is_row = can_be_row and TAG.fullmatch(cells[COLUMNS[format][1]])
        is_comment = line.lstrip(" ").startswith("#") and not is_row
        if any(cells) and not is_comment and "-docstart-" not in (cell.casefold() for cell in cells):
            is_range = format == "iob2" and re.fullmatch("[0-9]+-[0-9]+", cells[0]) is not None
            token, tag = (cells[column] if column < len(cells) else "" for column in COLUMNS[format])
            found.append((token, tag, is_range))
    return found


def as_read(reading: Reading) -> list[tuple[str, str, str]]:
    return [(token.text, token.ent_iob_, token.ent_type_) for doc in reading.docs for token in doc]


def check(data: bytes, format: str) -> None:
    reading = read({"a.txt": data}, "a.txt", format=format)
    if not reading.is_silent:
        return
    assert agree(simply(data, format), as_read(reading)), as_read(reading)


def agree(wanted: list[tuple[str, str, bool]], found: list[tuple[str, str, str]]) -> bool:
    if not wanted:
        return not found
    (token, tag, may_be_range), *others = wanted
    if may_be_range and agree(others, found):
        return True
    word, iob, label = found[0] if found else ("", "", "")
    # Schemes differ in what begins an entity
    is_same = (word, label, iob in ("B", "I")) == (token, tag[2:], bool(tag[2:])) and (tag == "-") == (not iob)
    return is_same and agree(others, found[1:])


@fuzzed
@given(mutated([ROWS["conll"]]))
def test_slips_in_conll(data):
    check(data, "conll")


@fuzzed
@given(mutated([ROWS["tsv"]]))
def test_slips_in_tsv(data):
    check(data, "tsv")


@fuzzed
@given(mutated([ROWS["iob2"]]))
@example(ROWS["iob2"].replace(b"1-2", b"2-2"))
def test_slips_in_iob2(data):
    check(data, "iob2")


@fuzzed
@given(st.lists(st.lists(st.tuples(TOKENS, TAGS), min_size=1, max_size=4), min_size=1, max_size=4))
def test_the_characters_of_the_tokens_in_are_the_characters_out(sentences):
    for between in " ", "\t":
        data = "".join("".join(f"{token}{between}{tag}\n" for token, tag in one) + "\n" for one in sentences)
        reading = read({"a.txt": data.encode()}, "a.txt", format="conll")
        wanted = [token for one in sentences for token, _ in one if token.casefold() != "-docstart-"]
        assert reading.said or [token for token, *_ in as_read(reading)] == wanted
        assert reading.error is None or not wanted
