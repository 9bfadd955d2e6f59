"""Slots and intents in columns, as xSID has them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from spacy.tokens import Doc, Token

from ..readers.columns import MISSING
from .spans import one_line


def slots_entries(docs: Iterable[Doc], left_out: Counter[str]) -> Iterator[str]:
    """Rows of number, token, intent and tag below comments that have text and intent.

    The intent is the surest category of at least 0.5; tokens of white space are no rows. A tag "-" is not known.
    """
    for doc in docs:
        intent = max(doc.cats, key=doc.cats.__getitem__, default="")
        intent = one_line(intent) if intent and doc.cats[intent] >= 0.5 else ""
        tokens = [token for token in doc if not token.is_space]
        if not tokens:
            left_out["documents without a word"] += 1
            continue
        lines = [f"# text = {one_line(doc.text)}", *([f"# intent = {intent}"] if intent else [])]
        lines += [f"{n}\t{one_line(token.text)}\t{intent or '_'}\t{_tag(token)}" for n, token in enumerate(tokens, 1)]
        yield "".join(f"{line}\n" for line in lines)


def _tag(token: Token) -> str:
    if not token.ent_iob_:
        return MISSING
    return f"{token.ent_iob_}-{token.ent_type_}" if token.ent_type_ else "O"
