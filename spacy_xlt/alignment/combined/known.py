"""What is known of pairs besides their sentences: attention, and the links of other aligners."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ...errors import UnknownDirection, error
from ...languages import MULTI, to_spacy
from ...links import Alignment
from ...protocols import Aligner, Attender, PairContext, TokenPair
from ..attention import AttentionAligner, fits
from .added import ALIGNER

# Attention below this is noise; the weights were fitted without it.
NOISE = 0.02

Known = dict[str, Alignment]


class Knowledge:
    """Collects what is known of pairs.

    translator (Attender | None): Attends for pairs that no attention is stored of.
    source, target (str): The languages, where nothing is known of a pair; "" for unknown.
    aligners (Mapping[str, Aligner]): Other aligners, by name.
    RAISES (XltError): E306 for a translator without `attend`, E323 for an aligner without `align`.
    """

    def __init__(self, translator: Attender | None, aligners: Mapping[str, Aligner], *, source: str, target: str):
        for name, aligner in aligners.items():
            if not callable(getattr(aligner, "align", None)):
                raise error("E323", name=name, engine=type(aligner).__name__)
        self.attending = None if translator is None else AttentionAligner(translator, threshold=NOISE, stored=False)
        self.languages = tuple(to_spacy(code) if code else "" for code in (source, target))
        self.aligners = dict(aligners)

    @property
    def signature(self) -> str:
        """The translator and the aligners; "" without any."""
        parts = [] if self.attending is None else [f"attention:({self.attending.translator.signature})"]
        parts += [f"{ALIGNER}{name}:({aligner.signature})" for name, aligner in self.aligners.items()]
        return "".join(f"|{part}" for part in parts)

    def of(self, pairs: Sequence[TokenPair], contexts: Sequence[PairContext] | None) -> list[Known]:
        """Stored attention that fits the tokens, and the links of the aligners, by the names of their signals.

        RAISES (XltError): E324 where an aligner gives another number of alignments; E002 for a link outside.
        """
        result: list[Known] = [{} for _ in pairs]
        for known, pair, context in zip(result, pairs, contexts or (), strict=False):
            if context.attention is not None and fits(context.attention, *pair):
                known["attention"] = context.attention
        for name, aligner in self.aligners.items():
            found = aligner.align(pairs, contexts=contexts)
            if len(found) != len(pairs):
                raise error("E324", name=name, found=len(found), expected=len(pairs))
            for known, (source, target), alignment in zip(result, pairs, found, strict=True):
                known[ALIGNER + name] = alignment.check(len(source), len(target))
        return result

    def attended(
        self,
        indices: Sequence[int],
        pairs: Sequence[TokenPair],
        contexts: Sequence[PairContext] | None,
        known: Sequence[Known],
    ) -> Mapping[int, Known]:
        """What is known of some pairs, with attention of those without it where the translator knows a direction.

        indices (Sequence[int]): Which pairs.
        known (Sequence[Known]): What `of` gave for all pairs.
        RETURNS (Mapping[int, Known]): By index.
        """
        result = {i: known[i] for i in indices}
        if self.attending is None:
            return result
        groups: dict[tuple[str, str], list[int]] = {}
        for i, of_pair in result.items():
            languages = self._languages(PairContext() if contexts is None else contexts[i])
            if "attention" not in of_pair and all(languages):
                groups.setdefault(languages, []).append(i)
        for languages, group in groups.items():
            try:
                found = self.attending.align([pairs[i] for i in group], contexts=[PairContext(*languages)] * len(group))
            except UnknownDirection:
                # The translator knows neither direction: these pairs have no attention
                continue
            for i, alignment in zip(group, found, strict=True):
                result[i] = {**result[i], "attention": alignment}
        return result

    def _languages(self, context: PairContext) -> tuple[str, str]:
        given = context.source_lang, context.target_lang
        source, target = (own if code in {"", MULTI} else code for code, own in zip(given, self.languages, strict=True))
        return source, target


def parts_of(known: Known, source: tuple[int, int], target: tuple[int, int]) -> Known:
    """What is known of a range of source and a range of target tokens."""
    return {name: alignment.between(source, target) for name, alignment in known.items()}
