"""A small corpus in every format that is read, and compressed in every way."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
from collections.abc import Iterable
from pathlib import Path

import spacy
from backports import zstd
from spacy.tokens import Doc, DocBin, Span, SpanGroup

PACK = {"": bytes, ".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress, ".zst": zstd.compress}
FORMATS = ("spacy", "iob2", "conll", "tsv", "jsonl", "brat")
LABELS = ("PER", "LOC")
N_DOCS = 12


def sentence(number: int) -> tuple[list[str], int]:
    """Words, and which of them is an entity."""
    words = ["São", f"name{number}", "ist", "日本", f"w{number * 7}", "."][: 2 + number % 5]
    return words, 1


def label(number: int) -> str:
    return LABELS[number % 2]


def spacy_bytes(n_docs: int = N_DOCS) -> bytes:
    vocab = spacy.blank("xx").vocab
    docs = DocBin(store_user_data=True)
    for number in range(n_docs):
        words, at = sentence(number)
        doc = Doc(vocab, words=words, spaces=[i % 2 == 0 for i in range(len(words))])
        if number % 3:
            doc.set_ents([Span(doc, at, at + 1, label=label(number), kb_id=f"Q{number}")], default="outside")
        if number % 4 == 1:
            spans = [Span(doc, 0, 2, label=f"G{number}", span_id=f"id{number}")]
            doc.spans["first"] = SpanGroup(doc, name="first", spans=spans, attrs={"scores": [0.5]})
            doc.spans["same"] = doc.spans["first"].copy()
        doc.spans["empty"] = []
        doc.cats = {"even": float(number % 2 == 0)} if number % 5 else {}
        doc.user_data["n"] = {"number": number}
        docs.add(doc)
    return docs.to_bytes()


def rows(number: int, format: str) -> str:
    words, at = sentence(number)
    tags = [f"B-{label(number)}" if i == at and number % 3 else "O" for i in range(len(words))]
    if format == "iob2":
        lines = [f"{i}\t{word}\t{tag}\t-" for i, (word, tag) in enumerate(zip(words, tags, strict=True), start=1)]
        return "\n".join([f"# text = {' '.join(words)}", *lines]) + "\n\n"
    between = "\t" if format == "tsv" else " "
    return "".join(f"{word}{between}{tag}\n" for word, tag in zip(words, tags, strict=True)) + "\n"


def json_line(number: int) -> str:
    words, at = sentence(number)
    text = " ".join(words)
    start = len(words[0]) + 1
    end = start + len(words[at])
    forms = [
        {"text": text, "spans": [{"start": start, "end": end, "label": label(number)}], "answer": "accept"},
        {"text": text, "label": [[start, end, label(number)]], "Comments": []},
        {"text": text, "entities": [{"start_offset": start, "end_offset": end, "label": label(number), "id": 1}]},
        {"id": 3, "data": text, "labels": [[start, end, label(number)]]},
        {"text": text, "spans": []},
    ]
    left_out = {"text": "no", "spans": [], "answer": "reject"}
    lines = [forms[number % len(forms)], *([left_out] if number % 2 else [])]
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)


def write(folder: Path, format: str, packed: str = "", n_docs: int = N_DOCS) -> Path:
    """Write the corpus: a file, for brat a folder."""
    if format == "brat":
        folder = folder / "brat"
        folder.mkdir()
        for number in range(n_docs):
            words, at = sentence(number)
            start = len(words[0]) + 1
            name = f"doc {number:03d}"
            (folder / f"{name}.txt{packed}").write_bytes(PACK[packed](" ".join(words).encode()))
            note = f"T1\t{label(number)} {start} {start + len(words[at])}\t{words[at]}\n#1\tNote T1\tsure\n"
            (folder / f"{name}.ann{packed}").write_bytes(PACK[packed]((note if number % 3 else "").encode()))
        return folder
    if format == "spacy":
        data = spacy_bytes(n_docs)
    elif format == "jsonl":
        data = "".join(json_line(number) for number in range(n_docs)).encode()
    else:
        data = "".join(rows(number, format) for number in range(n_docs)).encode()
    path = folder / f"corpus.{format}{packed}"
    path.write_bytes(PACK[packed](data))
    return path


def plain(docs: Iterable[Doc]) -> list[dict]:
    """All that is in documents, as plain data."""
    return [
        {
            "tokens": doc.to_json(),
            "arrays": doc.to_array(["ENT_IOB", "ENT_TYPE", "ENT_KB_ID", "SPACY", "SENT_START", "MORPH"]).tolist(),
            "groups": {
                key: (group.name, dict(group.attrs), [(s.start, s.end, s.label_, s.id_, s.kb_id_) for s in group])
                for key, group in doc.spans.items()
            },
            "user_data": dict(doc.user_data),
        }
        for doc in docs
    ]
