"""Bitexts as one HTML page: source beside target, entities coloured, links on hover, lost spans struck out."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from spacy.displacy.render import DEFAULT_LABEL_COLORS
from spacy.tokens import Doc

from ..bitext import ENTS_GROUP, Bitext, LostSpan, SentencePair
from ..languages import is_right_to_left

# displaCy knows the long name only.
COLORS = {**DEFAULT_LABEL_COLORS, "PER": DEFAULT_LABEL_COLORS["PERSON"]}
OTHER_COLOR = "#ddd"
_STYLE = """
:root { color-scheme: light dark; --line: #8886; --faint: #767676; }
body { font: 16px/1.9 system-ui, sans-serif; margin: 1.5rem auto; max-width: 80rem; padding: 0 1rem; }
h1 { font-size: 1.3rem; } .pair { display: grid; grid-template-columns: 1fr 1fr; gap: 0 2rem;
  border-top: 1px solid var(--line); padding: .5rem 0; }
@media (max-width: 45rem) { .pair { grid-template-columns: 1fr; } }
.note { grid-column: 1 / -1; color: var(--faint); font-size: .8rem; line-height: 1.4; }
mark { color: #111; border-radius: .3em; padding: .15em .3em; }
mark small { font-weight: 700; font-size: .65em; margin-inline-start: .4em; }
mark.lost { text-decoration: line-through; outline: 1px dashed currentColor; }
.missing { opacity: .55; font-style: italic; }
[data-l].on { outline: 2px solid #c33; border-radius: .2em; }
"""
_SCRIPT = """
document.addEventListener("mouseover", event => {
  document.querySelectorAll(".on").forEach(e => e.classList.remove("on"));
  const word = event.target.closest("[data-l]");
  if (!word) return;
  word.classList.add("on");
  const other = word.closest(".pair").querySelector(word.closest(".source") ? ".target" : ".source");
  for (const i of word.dataset.l.split(" ")) other.querySelector(`[data-i="${i}"]`)?.classList.add("on");
});
"""


def page(bitexts: Iterable[Bitext], *, title: str = "spacy_xlt") -> str:
    """The page as text. Everything from documents is escaped: text is shown, never run.

    bitexts (Iterable[Bitext]): What to show, one block for each sentence pair.
    """
    blocks = [_pair(bitext, pair) for bitext in bitexts for pair in bitext.sentences]
    body = "\n".join(blocks) or "<p>No bitexts.</p>"
    return (
        f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width"><title>{escape(title)}</title>'
        f"<style>{_STYLE}</style></head><body><h1>{escape(title)}</h1>\n{body}\n<script>{_SCRIPT}</script></body></html>\n"
    )


def _pair(bitext: Bitext, pair: SentencePair) -> str:
    links = bitext.alignment.between(pair.source, pair.target).links.tolist()
    lost = {side: {(s.start, s.end) for s in bitext.lost if s.side == side} for side in ("source", "target")}
    source = _side(bitext.source, pair.source, [(i, j) for i, j in links], lost["source"])
    target = _side(bitext.target, pair.target, [(j, i) for i, j in links], lost["target"])
    notes = [_lost_note(bitext, span) for span in bitext.lost if _starts_in(span, pair)]
    notes += list(pair.flags)
    if pair.score is not None:
        notes.append(f"translation {pair.score:.2f}")
    note = f'<div class="note">{escape(" · ".join(notes))}</div>' if notes else ""
    return (
        f'<div class="pair">{_column("source", bitext.source_lang, source)}'
        f"{_column('target', bitext.target_lang, target)}{note}</div>"
    )


def _starts_in(span: LostSpan, pair: SentencePair) -> bool:
    start, end = pair.source if span.side == "source" else pair.target
    return start <= span.start < end


def _lost_note(bitext: Bitext, span: LostSpan) -> str:
    doc = bitext.source if span.side == "source" else bitext.target
    return f"lost {span.label} “{doc[span.start : span.end].text}”: {span.reason}"


def _column(side: str, lang: str, html: str) -> str:
    direction = "rtl" if is_right_to_left(lang) else "ltr"
    return f'<div class="{side}" lang="{escape(lang)}" dir="{direction}">{html}</div>'


def _side(doc: Doc, sentence: tuple[int, int], links: list[tuple[int, int]], lost: set[tuple[int, int]]) -> str:
    """The words of one side of a sentence, entities marked; links count from the sentence's own first token."""
    start, end = sentence
    partners: dict[int, list[int]] = {}
    for here, there in links:
        partners.setdefault(here, []).append(there)
    scores = _scores(doc)
    entity_at = {i: ent for ent in doc.ents for i in range(ent.start, ent.end)}
    parts: list[str] = []
    inside = None
    for token in doc[start:end]:
        entity = entity_at.get(token.i)
        # an entity that reaches over a sentence boundary is opened again in the next sentence
        if entity is not None and token.i in (entity.start, start):
            inside = entity
            color = COLORS.get(inside.label_.upper(), OTHER_COLOR)
            kind = ' class="lost"' if (inside.start, inside.end) in lost else ""
            parts.append(f'<mark{kind} style="background:{color}">')
        linked = " ".join(map(str, partners.get(token.i - start, ())))
        missing = ' class="missing"' if token.ent_iob == 0 and doc.has_annotation("ENT_IOB") else ""
        data = f' data-l="{linked}"' if linked else ""
        parts.append(f'<span data-i="{token.i - start}"{data}{missing}>{escape(token.text)}</span>')
        if inside is not None and token.i + 1 in (inside.end, end):
            score = scores.get((inside.start, inside.end, inside.label_))
            shown = inside.label_ if score is None else f"{inside.label_} {score:.2f}"
            parts.append(f"<small>{escape(shown)}</small></mark>")
            inside = None
        parts.append(escape(token.whitespace_))
    return "".join(parts)


def _scores(doc: Doc) -> dict[tuple[int, int, str], float]:
    if ENTS_GROUP not in doc.spans:
        return {}
    group = doc.spans[ENTS_GROUP]
    scores = group.attrs.get("scores", [])
    return {(span.start, span.end, span.label_): score for span, score in zip(group, scores, strict=False)}
