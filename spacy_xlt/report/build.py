"""The report of a build: figures as JSON, and a page with plots and examples."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..bitext import ENTS, REASONS
from ..build.builder import SUMMARY, lines_left_out
from ..build.built import BuiltShards
from ..build.shard import READ, WRITE, ShardCounts
from ..errors import warn
from ..io import inside, write_bytes, write_json
from ..readers.docbin import read_docs
from ..view.data import SIDES, Row, direction
from ..view.reading import Readable
from .page import render_page
from .plots import Histogram
from .stats import MIN_WORDS, RATIO_EDGES, SCORE_BINS, BuildStats, Example
from .table import Table, share

REPORT_JSON, REPORT_HTML = "report.json", "report.html"
REPORT_FORMAT = 1
# Histograms of as many labels; the table has all of them.
PLOTTED_LABELS = 12
# Words shown of a long sentence.
WINDOW = 60
START, END, LABEL, KEY, SCORE, REASON = range(6)


def write_build_report(folder: Path, *, html: Path | None = None, view: Path | None = None) -> dict[str, Any]:
    """Write the report of a build, or of as much of it as is finished. Its bitexts are read for that.

    What `report.json` says does not depend on when and how fast the build ran, so that a build that was stopped and
    went on has the same file. The page also has times and what came from the cache.

    Args:
        html: Where to write the page; `report.html` in the folder where left out.
        view: A page of `spacy xlt view` that examples link to, relative to the report.

    Raises:
        XltError: E580, E581 for a folder that is not a build folder.
    """
    shards = BuiltShards(folder)
    shards.check()
    header = shards.header
    config = header.get("config", {})
    components = config.get("components", {}).values()
    stats = BuildStats(backwards=any(block.get("direction") == "target_to_source" for block in components))
    counts = ShardCounts()
    for shard in shards:
        counts.add(shard.counts)
        readable = Readable()
        for doc, bitext in readable.read(read_docs(shard.path(shard.bitext))):
            stats.add(shard.name, doc, bitext)
        if readable.n_failed:
            warn("W560", n=readable.n_failed, path=folder / shard.bitext, reason=readable.reason)
    report = _report(header, counts, stats, finished=(folder / SUMMARY).is_file())
    seconds = _in_order(counts.seconds, [READ, *config.get("pipeline", ()), WRITE])
    timings = {"seconds": seconds, "cache": dict(counts.cache), "cache_hit_share": counts.cache_hit_share}
    page = _page(report, timings, stats.examples, title=folder.resolve().name, view=view)
    write_json(inside(folder, REPORT_JSON), report)
    write_bytes(html or inside(folder, REPORT_HTML), page.encode("utf8"))
    return report


def _in_order(values: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """A mapping in the order of the pipeline; the manifest has sorted keys."""
    return {name: values[name] for name in dict.fromkeys([*names, *values]) if name in values}


def _report(header: Mapping[str, Any], counts: ShardCounts, stats: BuildStats, *, finished: bool) -> dict[str, Any]:
    counted = counts.to_json()
    return {
        "format": REPORT_FORMAT,
        "finished": finished,
        "spacy_xlt": header.get("spacy_xlt", ""),
        "engines": _in_order(header.get("engines", {}), header.get("config", {}).get("pipeline", ())),
        **{key: counted[key] for key in ("docs", "sentences", "sentences_dropped", "words_unlinked")},
        "lines_left_out": lines_left_out(header),
        "docs_failed": len(counts.failed),
        "failed": [dict(failure) for failure in counts.failed[:20]],
        "score_edges": [n / SCORE_BINS for n in range(SCORE_BINS + 1)],
        "ratio_edges": list(RATIO_EDGES),
        "directions": {name: one.to_json() for name, one in sorted(stats.directions.items())},
    }


def _page(
    report: Mapping[str, Any],
    timings: Mapping[str, Any],
    examples: Mapping[str, Sequence[Example]],
    *,
    title: str,
    view: Path | None,
) -> str:
    """The page as text."""
    rows = list(_label_rows(report))
    lost = Counter[str]()
    for *_, counts in rows:
        lost.update(counts["lost"])
    links = [(name, *item) for name, one in report["directions"].items() for item in one["links"].items()]
    lost_links = Counter[str]()
    for *_, counts in links:
        lost_links.update(counts["lost"])
    flags = Counter[str]()
    for one in report["directions"].values():
        flags.update(one["flags"])
    unlinked = report["words_unlinked"]
    sections = {
        "spans": "Spans in and out",
        "lost": "Lost spans",
        **({"links": "Links between spans"} if links else {}),
        "scores": "Scores of spans",
        "lengths": "Length of translations",
        "flags": "Flags",
        **({"words": "Words without a link"} if unlinked else {}),
        **({"time": "Time"} if sum(timings["seconds"].values()) else {}),
        **({"failed": "Documents that failed"} if report["failed"] else {}),
        "made": "Made by",
    }
    shown = {kind: _once(several) for kind, several in examples.items()}
    spans = [span for several in shown.values() for one in several for side in SIDES for span in one.row[side]["spans"]]
    labels = sorted({span[LABEL] for span in spans})
    words = [sum(one["words"][n] for one in report["directions"].values()) for n in range(len(SIDES))]
    return render_page(
        "build.html.j2",
        title=f"Build report: {title}",
        labels=labels,
        label_number={label: n for n, label in enumerate(labels)},
        sections=sections,
        report=report,
        totals=_totals(report, rows, links),
        spans=_span_table(rows),
        lost=lost,
        lost_table=_lost_table(rows, lost),
        lost_links=lost_links,
        link_table=_link_table(links, lost_links),
        reasons=REASONS,
        score_plots=_score_plots(rows, report["score_edges"]),
        score_table=_score_table(rows, report["score_edges"]),
        length_plots=_length_plots(report),
        length_table=_length_table(report),
        min_words=MIN_WORDS,
        flags=sorted(flags.items(), key=lambda item: (-item[1], item[0])),
        pairs=sum(one["pairs"] for one in report["directions"].values()),
        words_table=Table(
            ["side", "words", "without a link", "share"],
            [
                (side, f"{n:,}", f"{unlinked[side]:,}", share(unlinked[side], n))
                for side, n in zip(SIDES, words, strict=True)
                if side in unlinked
            ],
        ),
        time_table=_time_table(timings["seconds"], report["sentences"]),
        cache=timings["cache"],
        cache_share=timings["cache_hit_share"],
        failed=Table(["error", "text"], [(one["error"], one["text"]) for one in report["failed"]], text=(1,)),
        engines=Table(["component", "signature"], report["engines"].items(), text=(1,)),
        examples=shown,
        view=view.as_posix() if view is not None else "",
        sides=SIDES,
        direction=direction,
        pieces=pieces,
        lost_notes=_lost_notes,
    )


def _once(examples: Sequence[Example]) -> list[Example]:
    """Each sentence once: several of its spans may be examples."""
    return list({(one.shard, one.doc, one.lang, one.pair): one for one in examples}.values())


def _label_rows(report: Mapping[str, Any]) -> Iterator[tuple[str, str, str, Mapping[str, Any]]]:
    """Direction, key, label and counts of all labels."""
    for name, one in report["directions"].items():
        for key, labels in one["spans"].items():
            for label, counts in labels.items():
                yield name, key, label, counts


def _totals(report: Mapping[str, Any], rows: Sequence[Any], links: Sequence[Any]) -> list[tuple[str, str]]:
    put_in, out = (sum(counts[key] for *_, counts in rows) for key in ("in", "out"))
    lost = sum(sum(counts["lost"].values()) for *_, counts in rows)
    links_in, links_out = (sum(counts[key] for *_, counts in links) for key in ("in", "out"))
    failed = [("documents failed", f"{report['docs_failed']:,}")] if report["docs_failed"] else []
    left_out = ", ".join(f"{n:,} {answer}" for answer, n in report["lines_left_out"].items())
    return [
        ("documents", f"{report['docs']:,}"),
        *([("lines left out", left_out)] if left_out else []),
        ("sentences", f"{report['sentences']:,}"),
        ("spans in", f"{put_in:,}"),
        ("spans projected", f"{out:,}"),
        ("spans lost", f"{lost:,} ({share(lost, put_in)})"),
        *([("links in", f"{links_in:,}"), ("links projected", f"{links_out:,}")] if links else []),
        ("sentences left out", f"{sum(report['sentences_dropped'].values()):,}"),
        *failed,
    ]


def _span_table(rows: Sequence[Any]) -> Table:
    cells = []
    for name, key, label, counts in rows:
        lost = sum(counts["lost"].values())
        figures = (f"{counts['in']:,}", f"{counts['out']:,}", f"{lost:,}", share(lost, counts["in"]))
        cells.append((label, "entity" if key == ENTS else key, name, *figures))
    note = "Lost: a span that has no place on the other side, or whose place another entity has. A span in parts "
    note += "counts once as it goes in, and each of its parts as it comes out."
    return Table(["label", "group", "languages", "in", "out", "lost", "lost"], cells, note=note, text=(1, 2))


def _lost_table(rows: Sequence[Any], reasons: Sequence[str] | Mapping[str, int]) -> Table:
    cells = [
        (label, name, *(counts["lost"].get(reason, 0) for reason in reasons))
        for name, _, label, counts in rows
        if counts["lost"]
    ]
    return Table(["label", "languages", *reasons], cells, text=(1,))


def _link_table(links: Sequence[Any], reasons: Iterable[str]) -> Table:
    reasons = list(reasons)
    cells = [
        (label, name, *(f"{counts[key]:,}" for key in ("in", "out")), *(counts["lost"].get(r, 0) for r in reasons))
        for name, label, counts in links
    ]
    note = "By the reason for which a link was lost: that of its lost end, or same_words where both ends came to the "
    note += "same words. Of a record each role has a line; one that has lost its anchor has lost them all."
    return Table(["label", "languages", "in", "out", *reasons], cells, note=note, text=(1,))


def _scores_by_label(rows: Sequence[Any]) -> list[tuple[str, list[int]]]:
    """Labels with the histogram of their scores, all labels first, then the most frequent one."""
    sums: dict[str, list[int]] = {}
    for *_, label, counts in rows:
        before = sums.get(label, [0] * len(counts["scores"]))
        sums[label] = [a + b for a, b in zip(before, counts["scores"], strict=True)]
    scored = sorted(((label, c) for label, c in sums.items() if any(c)), key=lambda item: (-sum(item[1]), item[0]))
    every = [sum(column) for column in zip(*(c for _, c in scored), strict=True)]
    return [("all labels", every), *scored] if len(scored) > 1 else scored


def _score_plots(rows: Sequence[Any], edges: Sequence[float]) -> list[Histogram]:
    ticks = {float(n): f"{edges[n]:g}" for n in range(0, len(edges), 5)}
    return [
        Histogram(f"{name} ({sum(counts):,})", counts, "score", "spans (log)", ticks, log=True)
        for name, counts in _scores_by_label(rows)[: PLOTTED_LABELS + 1]
    ]


def _score_table(rows: Sequence[Any], edges: Sequence[float]) -> Table:
    by_label = _scores_by_label(rows)
    cells = [
        (f"{low:g} to {high:g}", *(f"{counts[n]:,}" for _, counts in by_label))
        for n, (low, high) in enumerate(zip(edges, edges[1:], strict=False))
    ]
    return Table(["score", *(name for name, _ in by_label)], cells if by_label else [])


def _length_plots(report: Mapping[str, Any]) -> list[Histogram]:
    ticks = {1.0 + n: f"{RATIO_EDGES[n]:g}" for n in range(0, len(RATIO_EDGES), 4)}
    tenths = {float(n): f"{n / SCORE_BINS:g}" for n in range(0, SCORE_BINS + 1, 5)}
    plots = []
    for name, one in report["directions"].items():
        plots.append(Histogram(name, one["ratios"], "words for a word of the source", "sentences", ticks))
        if any(one["translation_scores"]):
            unit = "mean probability of a piece"
            plots.append(Histogram(f"{name}: translation", one["translation_scores"], unit, "sentences", tenths))
    return plots


def _length_table(report: Mapping[str, Any]) -> Table:
    edges = RATIO_EDGES
    names = [f"below {edges[0]:.2f}"]
    names += [f"{low:.2f} to {high:.2f}" for low, high in zip(edges, edges[1:], strict=False)]
    names.append(f"{edges[-1]:.2f} and above")
    directions = report["directions"]
    cells = [(name, *(f"{one['ratios'][n]:,}" for one in directions.values())) for n, name in enumerate(names)]
    return Table(["ratio", *directions], cells)


def _time_table(seconds: Mapping[str, float], sentences: int) -> Table:
    whole = sum(seconds.values())
    cells = [
        (name, f"{value:.1f}", share(value, whole), f"{sentences / value:,.0f}" if value else "-")
        for name, value in [*seconds.items(), ("all", whole)]
    ]
    return Table(["stage", "seconds", "share", "sentences/s"], cells, note="Without loading the models.")


def pieces(part: Mapping[str, Any]) -> list[tuple[str, Sequence[Any] | None]]:
    """A sentence in pieces, each with its span or None; of spans that overlap the lost one, else the first.

    Args:
        part: A side of a row of `view.data.rows`. A long one is cut to `WINDOW` words around its first span.
    """
    at, words = part["at"], part["words"]
    shown = _without_overlaps(part["spans"])
    middle = next((span[START] for span in shown if span[REASON] is not None), shown[0][START] if shown else at) - at
    first = max(0, min(middle - WINDOW // 3, len(words) - WINDOW))
    last = min(len(words), first + WINDOW)
    starts = {max(span[START], at + first): span for span in shown if span[END] > at + first}
    made: list[tuple[str, Sequence[Any] | None]] = [("… ", None)] if first else []
    n = first
    while n < last:
        span = starts.get(at + n)
        end = n + 1 if span is None else min(last, span[END] - at)
        text = "".join(words[n:end])
        made.append((text.rstrip(" ") if span else text, span))
        if span and text.endswith(" "):
            made.append((" ", None))
        n = end
    return [*made, (" …", None)] if last < len(words) else made


def _without_overlaps(spans: Sequence[Sequence[Any]]) -> list[Sequence[Any]]:
    chosen: list[Sequence[Any]] = []
    for span in sorted(spans, key=lambda span: (span[REASON] is None, span[KEY] != ENTS, span[START], -span[END])):
        if all(span[END] <= other[START] or other[END] <= span[START] for other in chosen):
            chosen.append(span)
    return sorted(chosen, key=lambda span: span[START])


def _lost_notes(row: Row) -> list[tuple[str, str, str]]:
    """Label, text and reason of the lost spans of a row."""
    notes = []
    for part in (row[side] for side in SIDES):
        for span in (span for span in part["spans"] if span[REASON] is not None):
            words = part["words"][max(0, span[START] - part["at"]) : max(0, span[END] - part["at"])]
            notes.append((span[LABEL], "".join(words).strip(), span[REASON]))
    return notes
