"""What a build of 100 million sentences costs on GPUs, on paper, from rates that were measured on a CPU.

    python benchmarks/build_corpus.py --threads 1 --json measured.json
    python benchmarks/build_cost.py measured.json [--sentences 100000000] [--gpus 1 8 64] [--speedup 10 30 100]
        [--gpu-rate translate=2000 align=5000] [--rate STAGE=SENTENCES_A_SECOND ...]

Measured, in sentences a second of one core: translating, aligning and projecting alone, a worker's reading and packing
of shards, and what the one process does that hands out the work and writes. --rate sets one of them otherwise
(translate, align, project, read, pack, driver; without measured.json all six); bytes a sentence are measured, too.

Assumed:
- A GPU translates and aligns as many times faster as --speedup says. That was not measured: no GPU was at hand.
  --gpu-rate sets what was measured on one instead, for either stage.
- Each GPU has a worker. On its GPU, translating and aligning share the time; beside it, reading, projecting and packing
  share one core, because Python runs one of them at a time. The two sides overlap, so that the slower one decides.
- One process reads, hands out and writes for all of them, and does all of that one after the other.
- A shard has as many documents as in the measurement, and the network is faster than the disk.

Prints for each speed-up and number of GPUs the sentences a second, hours, GPU hours and what limits them, then from how
many GPUs on the one process is the limit, and what the disk must hold.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ON_GPU = ("translate", "align")
BESIDE = ("read", "project", "pack")
DRIVER = "driver"
STAGES = (*ON_GPU, *BESIDE, DRIVER)
GIB = 1024**3


def measured_rates(data: Mapping[str, Any]) -> dict[str, float]:
    """Sentences a second of one core, from the JSON of `build_corpus.py`.

    RAISES (SystemExit): Where nothing was measured with one thread.
    """
    runs = [run for run in data["runs"] if run["threads"] == "1"]
    if not runs:
        raise SystemExit("the measurement has no run with --threads 1")
    alone, pack = runs[0]["alone"], runs[0]["pack"]
    rates = {stage: one["docs"] / one["seconds"] for stage, one in alone.items()}
    rates["read"] = pack["docs"] / max(pack["seconds"]["read"], 1e-9)
    rates["pack"] = pack["docs"] / max(pack["seconds"]["write"], 1e-9)
    rates[DRIVER] = data["driver"]["rates"]["all but scan"]
    return rates


def together(rates: Sequence[float]) -> float:
    """Of things that are done one after the other."""
    return 1.0 / sum(1.0 / rate for rate in rates)


def worker(rates: Mapping[str, float]) -> tuple[float, str]:
    """Sentences a second of a GPU with its core, and what limits them."""
    gpu, core = (together([rates[stage] for stage in stages]) for stages in (ON_GPU, BESIDE))
    side, stages = ("GPU", ON_GPU) if gpu <= core else ("core", BESIDE)
    slowest = min(stages, key=lambda stage: rates[stage])
    return min(gpu, core), f"the {side}, most by {slowest}"


def cost(rates: Mapping[str, float], gpus: int, sentences: int) -> dict[str, Any]:
    """What a build takes."""
    one, limit = worker(rates)
    rate = min(one * gpus, rates[DRIVER])
    hours = sentences / rate / 3600
    if rates[DRIVER] < one * gpus:
        limit = DRIVER
    return {"gpus": gpus, "sentences_a_second": rate, "hours": hours, "gpu_hours": hours * gpus, "limit": limit}


def on_gpu(rates: Mapping[str, float], speedup: float, measured: Mapping[str, float]) -> dict[str, float]:
    """The rates with a GPU."""
    return {**rates, **{stage: measured.get(stage, rates[stage] * speedup) for stage in ON_GPU}}


def rates_of(words: Sequence[str], stages: Sequence[str]) -> dict[str, float]:
    found = {}
    for word in words:
        stage, _, value = word.partition("=")
        try:
            found[stage] = float(value)
        except ValueError:
            raise SystemExit(f"{word!r} is not STAGE=SENTENCES_A_SECOND") from None
        if stage not in stages or found[stage] <= 0:
            raise SystemExit(f"{word!r}: the stages are {', '.join(stages)}, and a rate is above 0")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("measured", type=Path, nargs="?", help="what build_corpus.py --json wrote")
    parser.add_argument("--sentences", type=int, default=100_000_000)
    parser.add_argument("--gpus", type=int, nargs="+", default=[1, 8, 64])
    parser.add_argument("--speedup", type=float, nargs="+", default=[10, 30, 100], help="of a GPU over one core")
    parser.add_argument("--gpu-rate", nargs="+", default=[], metavar="STAGE=RATE", help="measured on a GPU")
    parser.add_argument("--rate", nargs="+", default=[], metavar="STAGE=RATE", help="instead of what was measured")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    data = json.loads(args.measured.read_text("utf8")) if args.measured else {}
    given = rates_of(args.rate, STAGES)
    rates = {**(measured_rates(data) if data else {}), **given}
    if missing := [stage for stage in STAGES if stage not in rates]:
        raise SystemExit(f"no rate of {', '.join(missing)}: give measured.json, or --rate")
    gpu_rates = rates_of(args.gpu_rate, ON_GPU)
    show_rates(rates, given, gpu_rates)
    tables = []
    # Where both are measured, there is nothing to assume
    for speedup in args.speedup if set(gpu_rates) != set(ON_GPU) else [0]:
        with_gpu = on_gpu(rates, speedup, gpu_rates)
        every = [cost(with_gpu, n, args.sentences) for n in args.gpus]
        tables.append({"speedup": speedup, "costs": every, "driver_limits_from": rates[DRIVER] / worker(with_gpu)[0]})
        show_table(tables[-1])
    show_disk(data.get("bytes_a_sentence", {}), args.sentences)
    if args.json:
        args.json.write_text(json.dumps({"rates": rates, "tables": tables}, indent=2) + "\n", encoding="utf8")


def show_rates(rates: Mapping[str, float], given: Mapping[str, float], gpu_rates: Mapping[str, float]) -> None:
    for stage in STAGES:
        whence = "given" if stage in given else "measured on one core"
        print(f"{stage:<10} {rates[stage]:>10.0f} sentences/s, {whence}")
    for stage, rate in gpu_rates.items():
        print(f"{stage:<10} {rate:>10.0f} sentences/s, given for a GPU")


def show_table(table: Mapping[str, Any]) -> None:
    assumed = f"assumed: a GPU is {table['speedup']:g} times as fast as a core" if table["speedup"] else "rates given"
    print(f"\n{assumed}\n{'GPUs':>5} {'sentences/s':>12} {'hours':>9} {'GPU hours':>10}  limited by")
    for one in table["costs"]:
        numbers = f"{one['gpus']:>5} {one['sentences_a_second']:>12.0f} {one['hours']:>9.1f} {one['gpu_hours']:>10.1f}"
        print(f"{numbers}  {one['limit']}")
    print(f"The driver is the limit from {table['driver_limits_from']:.0f} GPUs on.")


def show_disk(sizes: Mapping[str, float], sentences: int) -> None:
    if not sizes:
        return
    print("\ndisk, from what was measured")
    for part, value in {**sizes, "all but input": sum(sizes.values()) - sizes.get("input", 0)}.items():
        print(f"{part:<16} {value:>8.0f} bytes a sentence {value * sentences / GIB:>10.1f} GiB")


if __name__ == "__main__":
    main()
