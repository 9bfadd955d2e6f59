"""`LlmProjector`: a language model is asked for the words of the target that say what a span says."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from ..engine import setting
from ..languages import language_name
from ..llm.asking import ask, check_model
from ..llm.numbered import read_numbered, schema_of
from ..llm.prompts import Prompt
from .answered import resolve
from .finding import Words
from .links.evidence import Stretch
from .links.scorer import Places, score_places
from .marking import Style, mark
from .queries import Range, SearchProjector, SpanQuery

PROMPT = "project"
EXAMPLE = "<1>Maria <2>Silva</2></1> moved to <3>Lisbon</3> in 2019."
EXAMPLE_TRANSLATION = "Maria Silva mudou-se para Lisboa em 2019."
EXAMPLE_LABELS: tuple[str, ...] = ("PER", "NAME", "LOC")
# How sure a single answer is that nothing else speaks for
ALONE = 0.5
# How much links count that leave no doubt; the rest is left open
LINKS = 0.9
# The most spans that are asked about at once: answers are short enough for most limits then
_MOST_SPANS = 40
# The most sequences of words that an answer is chosen from
_MOST_CHOICES = 1000
# And how many times the share of a span in its sentence they must reach
_LENGTH_RATIO = 3
_TAGS = Style("<{k}>", numbered=True, closing="</{k}>")
_TAG = re.compile(r"</?\d+>")


def prompt_values(
    text: str, translation: str, spans: Sequence[tuple[str, Sequence[str]]], *, source: str, target: str
) -> dict[str, Any]:
    """What the prompt `project` is filled with.

    Args:
        text: The source, with spans in numbered tags.
        translation: The target.
        spans: Text and labels of each span, from number 1 on.
        source: The source language, as any code.
        target: The target language.

    Raises:
        XltError: E010 for an unknown code.
    """
    names = {"source_language": language_name(source), "target_language": language_name(target)}
    numbered = [
        {"number": number, "text": words, "labels": [label for label in labels if label]}
        for number, (words, labels) in enumerate(spans, 1)
    ]
    return {"text": text, "translation": translation, "spans": numbered, "source": source, "target": target, **names}


def example_values(text: str | None, *, source: str, target: str) -> dict[str, Any]:
    """The same for an example, or for a text with tags whose translation is left open."""
    translation, labels = (EXAMPLE_TRANSLATION, EXAMPLE_LABELS) if text is None else ("…", ())
    text = EXAMPLE if text is None else text
    spans: list[tuple[str, Sequence[str]]] = []
    while f"<{len(spans) + 1}>" in text:
        number = len(spans) + 1
        inner = text.partition(f"<{number}>")[2].partition(f"</{number}>")[0]
        spans.append((_TAG.sub("", inner), labels[number - 1 : number]))
    return prompt_values(text, translation, spans, source=source, target=target)


@dataclass
class _Sentence:
    """A sentence with its spans.

    Attributes:
        answers: For each sample, by the index of a span, the words for it and how probable the answer is.
    """

    queries: list[SpanQuery]
    source: Words
    target: Words
    answers: list[dict[int, tuple[str, float]]]


@dataclass(kw_only=True, eq=False)
class LlmProjector(SearchProjector):
    """Shows a language model each sentence, with its spans in numbered tags, and the translation as it is, and asks for
    the words of the translation (after CLaP, Parekh et al. 2024, https://arxiv.org/abs/2309.08943). All spans of a
    sentence are one request.

    The words are looked for among the tokens of the target; see `Words.find` and `resolve`. Where they are not there,
    or the model says that nothing is, a span is lost ("no_candidate"); likewise where another, surer span has them.
    Where it answers with something else it is lost as well ("no_answer").

    The score is what the links say for the place, and of what they leave open the share of the samples that have it, or
    half of it where there is but one; see the documentation. So what nothing speaks for but one answer has 0.5 at
    most. Where the model gives log-probabilities, an answer counts as much as it is probable.

    Args:
        model: A `LanguageModel`, such as `EndpointModel` or `CausalModel`.
        votes: How many answers to each request are asked for, at a `temperature` of the model above 0 if several. The
            place that most of them have is taken.
        constrain: Have the server choose the words among those of the target, by an `enum` in the JSON schema, where
            there are not more than a thousand choices. Not all servers can do that.
        prompt: File of a Jinja template to use in place of the package's own; `spacy xlt prompt project` shows that.
        source: The source language, for bitexts that do not say theirs.
        target: The target language, likewise.

    Raises:
        XltError: E150 for something that is no language model and for several votes at temperature 0, E502 and E278
            for the prompt.
    """

    may_share: ClassVar[bool] = False

    model: Any = None
    votes: int = setting(1, ge=1)
    constrain: bool = False
    prompt: str | None = setting(None, decides=False)
    source: str | None = None
    target: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_model(type(self).__name__, self.model, setting="votes", samples=self.votes)
        example = example_values(None, source="en", target="pt")
        self._prompt = Prompt(PROMPT, self.prompt, example=example)

    def details(self) -> dict[str, Any]:
        """A checksum of the prompt."""
        return {"prompt": self._prompt.signature}

    def search(self, queries: Sequence[SpanQuery], source: str, target: str) -> None:
        """Ask about all sentences, and fill in what was found.

        Raises:
            XltError: E010 for an unknown language, E278 for a prompt that cannot be filled in, and those of the model.
        """
        sentences = list(_sentences(queries, n_samples=self.votes))
        # Sentences with very many spans come in parts
        parts = [
            (sentence, first, sentence.queries[first : first + _MOST_SPANS])
            for sentence in sentences
            for first in range(0, len(sentence.queries), _MOST_SPANS)
        ]
        prompts, schemas = [], []
        for sentence, _, shown in parts:
            texts = _marked(shown), _one_line(sentence.target.text)
            spans = [(_one_line(query.text), query.labels) for query in shown]
            values = prompt_values(*texts, spans, source=source, target=target)
            prompts.append(self._prompt.messages(**values))
            schemas.append(self._schema(shown, sentence))
        answers = ask(self.model, prompts, samples=self.votes, schemas=schemas)
        for (sentence, first, shown), samples in zip(parts, answers, strict=True):
            for of_sample, answer in zip(sentence.answers, samples, strict=True):
                probability = 1.0 if answer.log_prob is None else math.exp(min(0.0, answer.log_prob))
                for number, words in read_numbered(answer.text, len(shown)).items():
                    of_sample[first + number - 1] = words, probability
        linked = _linked(queries)
        for sentence in sentences:
            self._choose(sentence, linked)

    def _schema(self, queries: Sequence[SpanQuery], sentence: _Sentence) -> dict[str, Any]:
        choices = _choices(queries, sentence) if self.constrain else []
        return schema_of(len(queries), {"type": "string", **({"enum": ["", *choices]} if choices else {})})

    def _choose(self, sentence: _Sentence, linked: Mapping[int, Places | None]) -> None:
        """Fill in the queries of a sentence."""

        def evidence(query: SpanQuery, place: Range) -> float:
            return _by_links(linked[id(query)], place)

        votes: defaultdict[int, defaultdict[Range, float]] = defaultdict(lambda: defaultdict(float))
        nothing: defaultdict[int, float] = defaultdict(float)
        for of_sample in sentence.answers:
            words = {n: text for n, (text, _) in of_sample.items()}
            texts = sentence.source, sentence.target
            found = resolve(sentence.queries, words, *texts, evidence=evidence)
            for n, (text, probability) in of_sample.items():
                for place, fit in found.get(n, {}).items():
                    votes[n][place] += probability * fit / self.votes
                if not text.strip():
                    nothing[n] += probability / self.votes
        for n, query in enumerate(sentence.queries):
            if not any(n in of_sample for of_sample in sentence.answers):
                query.reason = "no_answer"
            elif votes[n] and max(votes[n].values()) >= nothing[n]:
                _fill(query, votes[n], linked[id(query)], trust=1.0 if self.votes > 1 else ALONE)


def _fill(query: SpanQuery, votes: Mapping[Range, float], linked: Places | None, *, trust: float) -> None:
    """Fill in places, those with most votes first, and how sure each is."""
    left_open = 1.0 if linked is None else 1.0 - LINKS * linked.score
    scores = {
        place: min(1.0, LINKS * _by_links(linked, place) + left_open * trust * share) for place, share in votes.items()
    }
    for place in sorted(votes, key=lambda place: (-votes[place], -scores[place])):
        if scores[place] > 0:
            query.choices.append(Stretch(*place, scores[place]))
            query.confidence[place] = round(scores[place], 4)


def _by_links(linked: Places | None, place: Range) -> float:
    """What the links of a span say for a place, from 0 to 1."""
    return 0.0 if linked is None else linked.score_at(*place)


def _linked(queries: Sequence[SpanQuery]) -> dict[int, Places | None]:
    """What links say of each query, by its id."""
    by_index: dict[int, list[SpanQuery]] = {}
    for query in queries:
        by_index.setdefault(id(query.index), []).append(query)
    groups = list(by_index.values())
    ranges = [[(query.start, query.end) for query in group] for group in groups]
    scored = score_places([group[0].index for group in groups], ranges) if groups else []
    return {
        id(query): places
        for group, of_group in zip(groups, scored, strict=True)
        for query, places in zip(group, of_group, strict=True)
    }


def _sentences(queries: Sequence[SpanQuery], *, n_samples: int) -> Iterator[_Sentence]:
    """The sentences that have text on both sides, with the spans that have some, in order."""
    groups: dict[tuple[int, int, int, int, int], list[SpanQuery]] = {}
    for query in queries:
        key = id(query.index), query.source_low, query.source_high, query.low, query.high
        groups.setdefault(key, []).append(query)
    for (_, source_low, source_high, low, high), group in groups.items():
        source, target = Words(group[0].source, source_low, source_high), Words(group[0].target, low, high)
        with_text = [query for query in group if query.text]
        if with_text and target.text.strip():
            ordered = sorted(with_text, key=lambda query: (query.start, -query.end))
            yield _Sentence(ordered, source, target, [{} for _ in range(n_samples)])


def _marked(queries: Sequence[SpanQuery]) -> str:
    """The source sentence with tags around spans."""
    sentence = queries[0].source[queries[0].source_low : queries[0].source_high]
    ranges = []
    for query in queries:
        span = query.source[query.start : query.end]
        start = span.start_char - sentence.start_char + len(span.text) - len(span.text.lstrip())
        ranges.append((start, start + len(query.text)))
    return _one_line(mark(sentence.text, ranges, _TAGS))


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _choices(queries: Sequence[SpanQuery], sentence: _Sentence) -> list[str]:
    """The sequences of words of the target that may be a span's, each once; empty where there are too many."""
    first = queries[0]
    part = first.target[first.low : first.high]
    n = len(part)
    shares = (sentence.source.where(query.start, query.end) for query in queries)
    longest = min(n, 1 + math.ceil(_LENGTH_RATIO * n * max(end - start for start, end in shares)))
    if longest * (2 * n - longest + 1) // 2 >= _MOST_CHOICES:
        return []
    texts = (part[i:j].text.strip() for i in range(n) for j in range(i + 1, min(n, i + longest) + 1))
    return list(dict.fromkeys(filter(None, texts)))
