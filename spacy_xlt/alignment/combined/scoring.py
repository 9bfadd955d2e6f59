"""From signals to the probability of a link: logistic regressions, one after the other, and their weights."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from ...errors import error

# They register their signals
from . import attended, romanised, spelling, support  # noqa: F401
from .added import ALIGNER, Added, add
from .batch import Cells, PairBatch
from .signals import MAY_BE_MISSING, SIGNALS

SHIPPED = Path(__file__).parent / "weights"
FORMAT = 1


@dataclass(frozen=True)
class Pass:
    """A logistic regression over named signals.

    signals (Sequence[str]): Their names.
    mean, scale (float32, (n_signals,)): What a signal is centred and divided by; where it has nothing to say it counts
        as its mean.
    weight (float32, (n_signals,)): What one scale more of a signal adds to the log-odds of a link.
    bias (float): The log-odds where all signals are at their means.
    """

    signals: Sequence[str]
    mean: NDArray[np.float32]
    scale: NDArray[np.float32]
    weight: NDArray[np.float32]
    bias: float

    def probabilities(self, batch: PairBatch, without: frozenset[str] = frozenset()) -> Cells:
        """How likely each link is, 0 where a word has no text: (pairs, n_source, n_target).

        without (frozenset[str]): Signals to leave out, as if they had nothing to say.
        """
        log_odds = np.full(batch.shape, self.bias, np.float32)
        for name, mean, scale, weight in zip(self.signals, self.mean, self.scale, self.weight, strict=True):
            if name in without:
                continue
            part = (SIGNALS[name](batch) - mean) * (weight / scale)
            log_odds += np.nan_to_num(part) if name in MAY_BE_MISSING else part
        return np.where(batch.mask, 1 / (1 + np.exp(-np.clip(log_odds, -30, 30))), 0).astype(np.float32)

    def to_json(self) -> dict[str, Any]:
        """Plain data that people can read: for each signal its weight, scale and mean."""
        columns = zip(self.signals, self.weight, self.scale, self.mean, strict=True)
        signals = {
            name: {"weight": round(float(w), 5), "scale": round(float(s), 5), "mean": round(float(m), 5)}
            for name, w, s, m in columns
        }
        return {"bias": round(float(self.bias), 5), "signals": signals}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Pass:
        """Read what `to_json` gave."""
        signals = data["signals"]
        mean, scale, weight = (
            np.asarray([signals[name][key] for name in signals], np.float32) for key in ("mean", "scale", "weight")
        )
        return cls(tuple(signals), mean, scale, weight, float(data["bias"]))


@dataclass(frozen=True)
class Weights:
    """All that the combination has learned.

    passes (Sequence[Pass]): The second one sees what the first one found.
    models (Sequence[str]): The encoders they were fitted with.
    layer (int): The highest layer of them that is run.
    changes (Mapping[str, float16]): Changes to their matrices, as `AdaptedEncoder` takes them.
    made (str): How and from what, for people and signatures.
    attended (Pass | None): One more pass for the pairs that have attention, and for no others.
    added (Mapping[str, Added]): What other signals that few pairs have add at the end.
    """

    passes: Sequence[Pass]
    models: Sequence[str]
    layer: int
    changes: Mapping[str, NDArray[np.floating]] = field(default_factory=dict)
    made: str = ""
    attended: Pass | None = None
    added: Mapping[str, Added] = field(default_factory=dict)

    @classmethod
    def load(cls, folder: Path) -> Weights:
        """Read a folder with `weights.json` and, where the encoder is changed, `changes.npz`.

        RAISES (XltError): E320 where it is not one, or names a signal that is not registered.
        """
        try:
            data = json.loads((folder / "weights.json").read_text(encoding="utf8"))
            if data["format"] != FORMAT:
                raise ValueError(f"it has format {data['format']}, known is {FORMAT}")
            passes = [Pass.from_json(part) for part in data["passes"]]
            changes: dict[str, NDArray[np.floating]] = {}
            if (folder / "changes.npz").is_file():
                with np.load(folder / "changes.npz", allow_pickle=False) as arrays:
                    changes = dict(arrays)
            attended = Pass.from_json(data["attended"]) if "attended" in data else None
            added = {name: Added(**part) for name, part in data.get("added", {}).items()}
            weights = cls(passes, data["models"], int(data["layer"]), changes, data["made"], attended, added)
        except (OSError, ValueError, KeyError, TypeError) as err:
            raise error("E320", path=folder, reason=f"{type(err).__name__}: {err}") from err
        names = {name for part in [*passes, *([attended] if attended else [])] for name in part.signals}
        names |= {name for name in added if not name.startswith(ALIGNER)}
        unknown = sorted(names - SIGNALS.keys())
        if unknown:
            raise error("E320", path=folder, reason=f"it names signals that nobody registered: {', '.join(unknown)}")
        return weights

    def save(self, folder: Path) -> None:
        """Write the folder that `load` reads."""
        folder.mkdir(parents=True, exist_ok=True)
        data = {
            "format": FORMAT,
            "made": self.made,
            "models": list(self.models),
            "layer": self.layer,
            **self._to_json(),
        }
        (folder / "weights.json").write_text(json.dumps(data, indent=1), encoding="utf8")
        if self.changes:
            halves: dict[str, Any] = {name: values.astype(np.float16) for name, values in self.changes.items()}
            np.savez_compressed(folder / "changes.npz", **halves)

    def _to_json(self) -> dict[str, Any]:
        data: dict[str, Any] = {"passes": [part.to_json() for part in self.passes]}
        if self.attended is not None:
            data["attended"] = self.attended.to_json()
        if self.added:
            data["added"] = {name: asdict(part) for name, part in self.added.items()}
        return data

    @property
    def digest(self) -> str:
        """A short number that changes with the weights, for signatures."""
        digest = crc32(json.dumps(self._to_json()).encode())
        for name in sorted(self.changes):
            digest = crc32(self.changes[name].astype(np.float16).tobytes(), digest)
        return f"{digest:08x}"

    def probabilities(self, batch: PairBatch, without: frozenset[str] = frozenset()) -> Cells:
        """How likely each link is, 0 where a word has no text: (pairs, n_source, n_target).

        without (frozenset[str]): Signals to leave out.
        """
        for part in self.passes:
            batch.first = part.probabilities(batch, without)
        if self.attended is not None and "attention" not in without:
            has_attention = ~np.isnan(batch.of_pairs("attention"))
            if has_attention.any():
                batch.first = np.where(has_attention, self.attended.probabilities(batch, without), batch.first)
        batch.first = add(batch, self.added, without)
        return batch.first
