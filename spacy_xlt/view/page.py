"""Bitexts as one self-contained HTML page: source beside target, links on hover, filters, keys to step with."""

from __future__ import annotations

import hashlib
import json
from base64 import b64encode
from collections.abc import Mapping
from html import escape
from importlib.resources import files
from string import Template
from typing import Any

from .colors import THEMES, LabelColor, label_colors

# In this order they make one script. Each begins where the one before it ended: they share their names.
REVIEW_SCRIPTS = ("marks.js", "saving.js", "editing.js", "handles.js", "review.js")
SCRIPTS = (
    "model.js",
    "text.js",
    "links.js",
    "rows.js",
    "arcs.js",
    "list.js",
    "filters.js",
    "keys.js",
    *REVIEW_SCRIPTS,
    "main.js",
)
STYLES = ("page.css", "review.css")


def page_of(data: dict[str, Any], *, colors: Mapping[str, str] | None = None) -> str:
    """The page for data that `payload` made."""
    looks = label_colors(data["labels"], colors, distinct=True)
    script = "(() => {\n'use strict';\n" + "\n".join(map(_static, SCRIPTS)) + "\n})();"
    style = "\n".join([variables(list(looks.values())), *map(_static, STYLES)])
    # Only these two run, whatever a document says; and nothing is fetched or sent.
    policy = (
        f"default-src 'none'; script-src '{digest(script)}'; style-src '{digest(style)}'; "
        "base-uri 'none'; form-action 'none'"
    )
    return Template(_static("page.html")).substitute(
        title=escape(str(data["title"])),
        n=f"{len(data['rows']):,}",
        policy=policy,
        style=style,
        data=as_json(data),
        script=script,
    )


def as_json(data: Any) -> str:
    """JSON that can stand inside a `<script>` element: it has no `<`, `>` or `&`, and no line separators of Unicode."""
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for char in "<>&\u2028\u2029":
        text = text.replace(char, f"\\u{ord(char):04x}")
    # half of a surrogate pair has no place in UTF-8
    return text.encode("utf8", "replace").decode("utf8")


def _static(name: str) -> str:
    return (files(__package__) / "static" / name).read_text(encoding="utf8")


def digest(text: str) -> str:
    """What a Content-Security-Policy calls a script or style sheet that it lets through."""
    return "sha256-" + b64encode(hashlib.sha256(text.encode("utf8")).digest()).decode("ascii")


def variables(looks: list[tuple[LabelColor, LabelColor]]) -> str:
    """The colours of both themes as CSS variables: those of the page, and those of label number n for `.label-n`."""

    def rules(theme: str, which: int) -> str:
        own = ";".join(f"{name}:{color}" for name, color in THEMES[theme].items())
        lines = [f":root{{color-scheme:{theme};{own}}}"]
        for n, look in enumerate(pair[which] for pair in looks):
            colors = f"--label:{look.background};--on-label:{look.foreground};--label-edge:{look.edge}"
            lines.append(f".label-{n}{{{colors}}}")
        return "\n".join(lines)

    return f"{rules('light', 0)}\n@media (prefers-color-scheme: dark) {{\n{rules('dark', 1)}\n}}"
