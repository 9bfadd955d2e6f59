"""Data of a person: a few annotated sentences, and their translations line by line."""

from __future__ import annotations

import json
from pathlib import Path

NAMES = ["Maria", "Peter", "Ada", "Grace", "Alan"]


def write_data(folder: Path, *, n: int = 60, label: str = "PER") -> Path:
    """Annotated text and two parallel files."""
    folder.mkdir(exist_ok=True)
    lines, english, german = [], [], []
    for number in range(n):
        name = NAMES[number % len(NAMES)]
        text = f"Today {name} lives at number {number} in the old town."
        lines.append({"text": text, "spans": [{"start": 6, "end": 6 + len(name), "label": label}]})
        english.append(text)
        german.append(f"Heute wohnt {name} in Nummer {number} in der Altstadt.")
    (folder / "mine.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (folder / "mine.en").write_text("\n".join(english) + "\n")
    (folder / "mine.de").write_text("\n".join(german) + "\n")
    return folder
