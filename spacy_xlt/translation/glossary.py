"""Words whose translation is given: a glossary file, and entities or spans of the document to keep."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from spacy.tokens import Doc

from ..errors import error
from .standins import TERM, Fixed

SPANS = "spans:"
# The attribute of a span group that gives the form of each of its spans in the translation
FORMS = "targets"


class Glossary:
    """Terms and their translations.

    A term in small letters is found however it is written ("central bank", "Central Bank"); one with capitals only as
    it stands in the glossary ("Apple"). Where several begin at one token, the longest is taken.

    entries (dict[str, str]): Term → translation.
    """

    def __init__(self, entries: dict[str, str]):
        self.entries = {_squeezed(term): _squeezed(target) for term, target in entries.items()}
        self._longest = max(map(len, self.entries), default=0)

    @classmethod
    def read(cls, path: str | Path) -> Glossary:
        """Read a file of lines `term<TAB>translation`; empty lines and those that begin with "# " don't count.

        RAISES (XltError): E251 where it cannot be read, E252 with the number of a line that is not one.
        """
        path = Path(path)
        try:
            text = path.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as err:
            raise error("E251", path=path, reason=getattr(err, "strerror", None) or str(err)) from err
        entries: dict[str, str] = {}
        lines: dict[str, int] = {}
        for number, line in enumerate(text.split("\n"), start=1):
            if not line.strip() or line.startswith("# "):
                continue
            cells = [_squeezed(cell) for cell in line.split("\t")]
            if len(cells) != 2 or not all(cells):
                reason = f"{len(cells)} columns" if len(cells) != 2 else "an empty column"
                raise error("E252", path=path, line=number, reason=f"{reason}; expected term, tab, translation")
            term, target = cells
            if entries.get(term, target) != target:
                reason = f"{term!r} is {target!r} here and {entries[term]!r} in line {lines[term]}"
                raise error("E252", path=path, line=number, reason=reason)
            entries[term] = target
            lines.setdefault(term, number)
        return cls(entries)

    def find(self, doc: Doc) -> Iterator[Fixed]:
        """The terms in a doc, whole tokens only. YIELDS (Fixed): Places are characters of the doc; not overlapping."""
        if not self.entries:
            return
        text, i = doc.text, 0
        while i < len(doc):
            start, found = doc[i].idx, None
            for j in range(i, len(doc)):
                end = doc[j].idx + len(doc[j])
                if end - start > 2 * self._longest:
                    break
                if doc[i].is_space or doc[j].is_space:
                    continue
                words = _squeezed(text[start:end])
                target = self.entries.get(words) or self.entries.get(words.lower())
                if target is not None and words:
                    found = j, Fixed(start, end, target, TERM)
            if found is None:
                i += 1
            else:
                i = found[0] + 1
                yield found[1]


def check_keep(keep: Sequence[str], *, name: str) -> tuple[str, ...]:
    """Make sure that a list of what to keep can be one.

    RAISES (XltError): E103 where it cannot.
    """
    if isinstance(keep, str) or not all(isinstance(item, str) and item and item != SPANS for item in keep):
        raise error("E103", name=name, setting="keep", value=keep, expected="entity labels or spans:KEY, in a list")
    return tuple(keep)


def kept_spans(doc: Doc, keep: Sequence[str]) -> Iterator[Fixed]:
    """The spans of a doc whose form in the translation is given.

    keep (Sequence[str]): Labels of entities, whose text must appear as it is, and `spans:KEY` for span groups: the text
        as it is, or the form that `doc.spans[KEY].attrs["targets"]`, a list, has for the span (None for as it is).
    YIELDS (Fixed): Places are characters of the doc; they may overlap.
    """
    for item in keep:
        if not item.startswith(SPANS):
            for ent in doc.ents:
                if ent.label_ == item:
                    yield Fixed(ent.start_char, ent.end_char, ent.text, TERM)
            continue
        key = item[len(SPANS) :]
        if key not in doc.spans:
            continue
        group = doc.spans[key]
        forms = group.attrs.get(FORMS) or [None] * len(group)
        if len(forms) != len(group):
            raise error("E253", key=key, attr=FORMS, found=len(forms), expected=len(group))
        for span, form in zip(group, forms, strict=True):
            yield Fixed(span.start_char, span.end_char, form or span.text, TERM)


def _squeezed(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()
