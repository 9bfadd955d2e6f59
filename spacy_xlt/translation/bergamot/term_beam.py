"""Beam search for translations with terms that may stand anywhere in them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from ..terms import TermBeam, Terms
from .decode import Hypothesis, Output, Padded, Search
from .forced import force
from .model import BergamotModel


@torch.inference_mode()
def term_search(model: BergamotModel, batch: Padded, options: Search, terms: Sequence[Terms]) -> list[Hypothesis]:
    """Translate a batch.

    options (Search): Its beam is shared between hypotheses with more and with less of the terms.
    terms (Sequence[Terms]): Of each source.
    RETURNS (list[Hypothesis]): The best of each source.
    """
    k = options.beam_size
    output = Output(model, options)
    memory = batch.encode(model)
    limits = options.limits.tolist()
    beams = [TermBeam(t, size=k, end=options.eos, limit=n) for t, n in zip(terms, limits, strict=True)]
    live = list(beams)
    states = model.first_states(len(beams) * k)
    x = model.positions(0, 1).expand(len(beams) * k, -1)
    step = 0
    while live:
        hidden, states, _ = model.decode_step(x, states, memory)
        log_probs = torch.log_softmax(output.logits(hidden), dim=-1)
        if output.unk is not None:
            log_probs[:, output.unk] = -torch.inf
        values, columns = log_probs.topk(min(k, log_probs.shape[1]), dim=1)
        best, pieces = values.cpu().numpy(), output.to_pieces(columns).cpu().numpy()
        parents, written = [], []
        for i, beam in enumerate(live):
            rows, wanted = beam.cells()
            here = slice(i * k, (i + 1) * k)
            theirs = log_probs[torch.from_numpy(rows + i * k), torch.from_numpy(output.to_columns(wanted))]
            from_rows, next_pieces = beam.step(
                np.concatenate([np.arange(k).repeat(best.shape[1]), rows]),
                np.concatenate([pieces[here].reshape(-1), wanted]),
                np.concatenate([best[here].reshape(-1), theirs.cpu().numpy()]),
            )
            parents.append(from_rows + i * k)
            written.append(next_pieces)
        keep = [i for i, beam in enumerate(live) if not beam.done]
        if len(keep) < len(live):
            rows_left = torch.as_tensor(keep, dtype=torch.long, device=model.device)
            output.select(rows_left)
            memory = memory.select(rows_left)
            live = [live[i] for i in keep]
        if live:
            taken = torch.from_numpy(np.concatenate([parents[i] for i in keep])).to(model.device)
            states = [s.index_select(0, taken) for s in states]
            ids = torch.from_numpy(np.concatenate([written[i] for i in keep])).to(model.device)
            step += 1
            x = model.embed_target(ids) + model.positions(step, 1)
    return _with_attention(model, batch, options, beams)


def _with_attention(model: BergamotModel, batch: Padded, options: Search, beams: list[TermBeam]) -> list[Hypothesis]:
    """The best of each beam, with what it looks at."""
    best = [beam.best()[0] for beam in beams]
    ids = [np.asarray(written.ids, np.int64) for written in best]
    targets = [[i if written.truncated else i[:-1]] for i, written in zip(ids, best, strict=True)]
    forced = force(model, batch, targets, eos=options.eos, log_probs=False)
    found = []
    for own, written, ((_, weights),) in zip(ids, best, forced, strict=True):
        assert weights is not None
        found.append(Hypothesis(own, written.score, weights[: len(own)], written.truncated))
    return found
