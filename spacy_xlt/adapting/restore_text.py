"""Writing sentences as they were before some words were swapped for those of their translation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ..alignment.embedding import EmbeddingAligner
from ..engine import setting
from ..errors import error
from ..languages import UNSEGMENTED
from .model import Seq2SeqModel
from .objective import Objective
from .restore import possible_swaps, swap_words
from .texts import Pair

if TYPE_CHECKING:
    import torch


@dataclass(kw_only=True, eq=False)
class RestoreCodeSwitchedSeq2Seq(Objective):
    """Registered objective `spacy_xlt.RestoreCodeSwitchedSeq2Seq.v1`: a sequence-to-sequence model writes a sentence.

    It reads the sentence with some words swapped for those of its translation that they are linked to (Zan et al.
    2022, CSR4mBART). Words are read and written with spaces between them: pairs that were cut at spaces are as they
    were written.

    Args:
        pairs: Sentence pairs. Those without links get those of `EmbeddingAligner`, of the bundled encoder.
        language: What the tokenizer calls the source language, such as en_XX (mBART), eng_Latn (NLLB) or en (M2M100);
            null for models that are not told it, such as mT5.
        share: Of the words, how many are swapped, where so many can be.

    Raises:
        XltError: E150 for an invalid setting; when prepared E354 without words that can be swapped.
    """

    pairs: Any
    language: str | None = None
    share: float = setting(0.3, gt=0, le=1)
    seq2seq: ClassVar[bool] = True

    def prepare(self, model: Seq2SeqModel) -> NDArray[np.int64]:
        """Link the pairs that have no links, and keep those with words that can be swapped, in memory."""
        model.set_language(self.language)
        pairs: list[Pair] = list(self.pairs)
        self.n_read = len(pairs)
        unlinked = [i for i, pair in enumerate(pairs) if pair.links is None]
        found = EmbeddingAligner().align([(pairs[i].source, pairs[i].target) for i in unlinked])
        for i, links in zip(unlinked, found, strict=True):
            pairs[i] = pairs[i]._replace(links=links)
        self._items, lengths = [], []
        for pair in pairs:
            swaps = possible_swaps(pair.links.links, pair.source, pair.target) if pair.links else {}
            gap = "" if pair.source_lang in UNSEGMENTED else " "
            longest = max(len(model.tokenizer(gap.join(side)).input_ids) for side in (pair.source, pair.target))
            if swaps and longest - model.special <= model.max_pieces:
                self._items.append((pair.source, swaps, gap))
                # Of both sides, as if each had those of the longer
                lengths.append(2 * longest)
        if not lengths:
            reason = f"{self.n_read} read, none of at most {model.max_pieces} pieces with words that can be swapped"
            raise error("E354", path="The parallel text", reason=reason)
        return np.asarray(lengths, np.int64)

    def loss(self, model: Seq2SeqModel, batch: Sequence[int], random: np.random.Generator) -> torch.Tensor:
        """See `Seq2SeqModel.loss`."""
        read, wanted = [], []
        for source, swaps, gap in (self._items[i] for i in batch):
            slots, _ = swap_words(source, swaps, self.share, random)
            read.append(gap.join(word for slot in slots for word in slot))
            wanted.append(gap.join(source))
        return model.loss(read, wanted)
