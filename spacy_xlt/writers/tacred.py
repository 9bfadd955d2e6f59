"""TACRED's JSON."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator

from spacy.tokens import Doc

from ..readers.tacred import BRACKETS, NO_RELATION
from .spans import meta_of, pairs

_WRITTEN_BRACKETS = {bracket: name for name, bracket in BRACKETS.items()}


def tacred_entries(docs: Iterable[Doc], left_out: Counter[str]) -> Iterator[str]:
    """An example for each pair of spans: the head is the subject, the child the object. Ends are included."""
    for doc in docs:
        found = pairs(doc)
        for head, child, label in found:
            if label is not None and (head.start, head.end) == (child.start, child.end):
                left_out["links between spans of the same words"] += 1
                continue
            example = {name: value for name, value in meta_of(doc).items() if name in ("id", "docid")}
            example["relation"] = NO_RELATION if label is None else label
            example["token"] = [_WRITTEN_BRACKETS.get(token.text, token.text) for token in doc]
            for role, span in (("subj", head), ("obj", child)):
                example.update({f"{role}_start": span.start, f"{role}_end": span.end - 1, f"{role}_type": span.label_})
            yield json.dumps(example, ensure_ascii=False)
        if not found:
            left_out["documents without a pair of spans"] += 1
