"""`LlmAnnotator`: a language model writes a text again, with tags around the entities."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from spacy.tokens import Doc, Span, SpanGroup

from ..bitext import candidates_group
from ..docs import runs_of, with_vocab
from ..engine import Engine, invalid_setting, setting
from ..errors import warn
from ..languages import MULTI, language_name, same_language
from ..llm.api import Answer
from ..llm.asking import ask, check_model
from ..llm.prompts import Prompt
from ..probabilities import Scores
from ..tokens import has_text
from ..translation.sentences import Part, sentences_of
from .answers import Reading, Tokens, longest, read_answer, tokens_at, tokens_of
from .pipeline import write_scores
from .tags import TagSet

PROMPT = "annotate"
EXAMPLE = "Maria Silva moved to Lisbon in 2019."
EXAMPLE_LABELS = {"PER": "names of people", "LOC": "names of cities, countries, rivers and other places"}
# Longer sentences are asked for in parts, as xlt_translator has it
_MAX_CHARS = 1200


def prompt_values(
    text: str,
    labels: Mapping[str, str],
    *,
    lang: str,
    pivot: str | None = None,
    examples: Sequence[str] = (),
    overlapping: bool = False,
) -> dict[str, Any]:
    """What the prompt `annotate` is filled with.

    Args:
        text: The text to annotate.
        labels: Each label and what it means, in words or "".
        lang: The language of the text, as any code; "xx" for an unknown one.
        pivot: A language to restate the text in first, if it is another one.
        examples: Texts with tags.
        overlapping: Whether spans may overlap.

    Raises:
        XltError: E010 for an unknown code.
    """
    tags = TagSet(list(labels))
    brackets = tags.brackets(text)
    restates = pivot is not None and (lang == MULTI or not same_language(pivot, lang))
    return {
        "text": text,
        "tags": [{"pair": tags.pair(label, brackets), "meaning": meaning} for label, meaning in labels.items()],
        "language": "" if lang == MULTI else language_name(lang),
        "pivot": language_name(pivot) if pivot is not None and restates else "",
        "examples": [tags.with_brackets(example, brackets) for example in examples],
        "overlapping": overlapping,
    }


@dataclass(kw_only=True, eq=False)
class LlmAnnotator(Engine):
    """Asks a language model to write each sentence again, with a tag around each entity.

    The answer is held against the text: what a model changes on the way (spaces, quotation marks, case, a full stop)
    does no harm. An entity whose own words were changed is left out, and its words are missing, not "no entity". So are
    those of a sentence that the model refused, or whose answer was cut off, is empty or is another text. Both are
    counted, and a warning says how many.

    With a pivot, the model first says in that language what stands in the text, with the same tags, and then tags the
    text itself: as two-stage prompting (MT4CrossOIE, Li et al. 2023, https://arxiv.org/abs/2308.06552) and
    cross-lingual-thought prompting (Huang et al. 2023, https://arxiv.org/abs/2305.07004) do.

    Args:
        model: A `LanguageModel`, such as `EndpointModel` or `CausalModel`.
        labels: Each label and what it means, in words; or labels alone.
        lang: Code of the language of the texts; that of the documents where left out. Documents in a language that
            spaCy has no class for do not say theirs.
        pivot: Code of a language to restate each text in first, such as "en".
        examples: Texts with their tags to show the model, such as "<PER>Maria</PER> sleeps.".
        votes: How many answers to ask for. From 2 on, an entity that more than half of the usable answers have is kept,
            and all go to the span group "xlt_candidates" with their shares as `attrs["scores"]`. A sentence of which
            half of the answers or fewer can be used is not annotated.
        spans_key: Write spans, which may overlap, to this group in place of entities. A group cannot say what is
            missing.
        prompt: File of a Jinja template to use in place of the package's own; `spacy xlt prompt annotate` shows that.

    Attributes:
        not_annotated: Sentences that are not annotated, by the reason, in this process.
        left_out: What was marked and is not annotated, by the reason.

    Raises:
        XltError: E150 for an invalid setting, such as votes of a model that always says the same; E010 for an unknown
            language; E502 and E278 for the prompt.
    """

    model: Any = None
    labels: Mapping[str, str] | Sequence[str] | None = setting(None, decides=False)
    lang: str | None = None
    pivot: str | None = None
    examples: Sequence[str] = setting((), decides=False)
    votes: int = setting(1, ge=1)
    spans_key: str | None = None
    prompt: str | None = setting(None, decides=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check()
        labels = self.labels or ()
        self._labels = dict(labels) if isinstance(labels, Mapping) else dict.fromkeys(labels, "")
        self._tags = TagSet(list(self._labels))
        for example in self.examples:
            tagged = self._tags.read(example, "")
            if tagged.broken or tagged.unknown:
                expected = f"texts with whole pairs of the tags of {', '.join(self._labels)}"
                raise invalid_setting(type(self).__name__, "examples", example, expected)
        self._prompt = Prompt(PROMPT, self.prompt, example=self._values(EXAMPLE, MULTI))
        self._asked = self._warned = 0
        self.not_annotated = Counter[str]()
        self.left_out = Counter[str]()

    def _check(self) -> None:
        owner = type(self).__name__
        check_model(owner, self.model, setting="votes", samples=self.votes)
        meanings = self.labels.values() if isinstance(self.labels, Mapping) else ()
        if not self.labels or not all(map(_is_label, self.labels)) or not all(isinstance(m, str) for m in meanings):
            expected = "labels without < > / in them, and in words what each means"
            raise invalid_setting(owner, "labels", self.labels, expected)

    @property
    def found_labels(self) -> tuple[str, ...]:
        """Its labels."""
        return tuple(sorted(self._labels))

    @property
    def assigns(self) -> tuple[str, ...]:
        """What of a document it writes."""
        return ("doc.ents",) if self.spans_key is None else ("doc.spans",)

    def details(self) -> dict[str, Any]:
        """The labels, and checksums of what the model is told of them and of the prompt."""
        told = json.dumps([self._labels, list(self.examples)]).encode("ascii")
        digest = hashlib.sha256(told).hexdigest()[:12]
        return {"labels": "+".join(self._labels), "told": digest, "prompt": self._prompt.signature}

    def annotate(self, docs: Sequence[Doc]) -> list[Doc]:
        """Annotate copies of documents, sentence by sentence.

        Returns:
            New docs with the same tokens and sentences, in order.

        Raises:
            XltError: E010 for an unknown language, E278 for a prompt that cannot be filled in, and those of the model.
        """
        copies = [with_vocab(doc, doc.vocab) for doc in docs]
        parts = [list(_parts(doc)) for doc in copies]
        prompts = [
            self._prompt.messages(**self._values(part.text, doc.lang_))
            for doc, of_doc in zip(copies, parts, strict=True)
            for part in of_doc
        ]
        answers = iter(ask(self.model, prompts, samples=self.votes))
        for doc, of_doc in zip(copies, parts, strict=True):
            tokens = tokens_at(doc)
            shares: Scores = {}
            missing: set[int] = set()
            for part in of_doc:
                self._count_votes(part.text, next(answers), tokens(part.offset), shares, missing)
            self._write(doc, shares, missing)
        self._asked += len(prompts)
        self._warn()
        return copies

    def _values(self, text: str, lang: str) -> dict[str, Any]:
        told: dict[str, Any] = {"pivot": self.pivot, "examples": self.examples}
        overlapping = self.spans_key is not None
        return prompt_values(text, self._labels, lang=self.lang or lang or MULTI, overlapping=overlapping, **told)

    def _count_votes(
        self, text: str, answers: Sequence[Answer], tokens: Tokens, shares: Scores, missing: set[int]
    ) -> None:
        """Add what the answers say of a text to what is known of its document."""
        overlapping = self.spans_key is not None
        read = [read_answer(answer, text, self._tags, tokens, overlapping=overlapping) for answer in answers]
        readings = [one for one in read if isinstance(one, Reading)]
        for reading in readings:
            self.left_out.update(reading.left_out)
        if 2 * len(readings) <= len(answers):
            self.not_annotated[Counter(one for one in read if isinstance(one, str)).most_common(1)[0][0]] += 1
            missing.update(tokens(0, len(text)))
            return
        n = len(readings)
        shares.update((span, k / n) for span, k in Counter(s for one in readings for s in one.spans).items())
        missing.update(i for i, k in Counter(i for one in readings for i in one.missing).items() if 2 * k > n)

    def _write(self, doc: Doc, shares: Scores, missing: set[int]) -> None:
        kept = {span for span, share in shares.items() if 2 * share > 1}
        if self.spans_key is None:
            # Of neighbouring parts, two may have the token that they were cut in
            kept = longest(kept)
            unknown = runs_of(doc, missing - tokens_of(kept))
            doc.set_ents([Span(doc, *span) for span in sorted(kept)], missing=unknown, default="outside")
        elif self.votes > 1:
            write_scores(doc, {span: shares[span] for span in kept}, self.spans_key)
        else:
            spans = [Span(doc, *span) for span in sorted(kept)]
            doc.spans[self.spans_key] = SpanGroup(doc, name=self.spans_key, spans=spans)
        if self.votes > 1:
            write_scores(doc, shares, candidates_group(self.spans_key))

    def _warn(self) -> None:
        """Warn of what is not annotated: the first time, and each time that it has doubled."""
        n = self.not_annotated.total() + self.left_out.total()
        if not n or n < 2 * self._warned:
            return
        self._warned = n
        kinds = {"are not annotated": self.not_annotated, "marked spans are left out": self.left_out}
        found = ", and ".join(
            f"{counts.total()} {what} ({_listed(counts)})" for what, counts in kinds.items() if counts
        )
        effect = "their words are missing, which is not the same as outside of entities"
        if self.spans_key is not None:
            effect = "a span group cannot tell that from words without spans"
        warn("W241", stacklevel=4, total=self._asked, found=found, effect=effect)


def _is_label(label: Any) -> bool:
    return isinstance(label, str) and label == label.strip() != "" and not re.search(r"[<>＜＞/／\r\n]", label)


def _parts(doc: Doc) -> Iterator[Part]:
    """What of a document is asked for at once: its sentences, in lines."""
    for sentence in sentences_of(doc, max_chars=_MAX_CHARS):
        yield from (part for part in sentence.parts if has_text(part.text))


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {n}" for name, n in counts.most_common())
