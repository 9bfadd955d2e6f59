"""The page of a build report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

from ..bitext import ENTS, REASONS
from .charts import bars, histogram
from .examples import LABEL, as_html
from .figures import LEAST_WORDS, Example
from .page import Plots, folded, page, share, table, totals

# Histograms of as many labels; the table has all of them.
PLOTTED_LABELS = 12
Places = Mapping[tuple[str, int, str, int], Any]


def build_page(
    report: Mapping[str, Any],
    timings: Mapping[str, Any],
    examples: Mapping[str, Sequence[Example]],
    found: Places,
    *,
    title: str,
    view: str | None = None,
) -> str:
    """The page as text.

    report (Mapping[str, Any]): What `report.json` says.
    timings (Mapping[str, Any]): "seconds" by stage, "sentences", "cache", "cache_hit_share".
    examples (Mapping[str, Sequence[Example]]): By kind, as `Figures` keeps them.
    found (Places): Their sentences, as `read_examples` gives them.
    view (str | None): Address of a page that shows all sentences.
    """
    labels = sorted(
        {span[LABEL] for row in found.values() for side in ("source", "target") for span in row[side]["spans"]}
    )
    shown = _Examples(examples, found, view, {label: n for n, label in enumerate(labels)})
    plots = Plots()
    sections = [
        ("spans", "Spans in and out", _spans(report)),
        ("lost", "Lost spans", _lost(report, shown)),
        ("scores", "Scores of spans", _scores(report, shown, plots)),
        ("lengths", "Length of translations", _lengths(report, shown, plots)),
        ("flags", "Flags", _flags(report, shown)),
        ("words", "Words without a link", _words(report)),
        ("time", "Time", _time(timings, plots)),
        ("failed", "Documents that failed", _failed(report)),
        ("made", "Made by", table(["component", "signature"], report["engines"].items(), text=frozenset((1,)))),
    ]
    return page(f"Build report: {title}", _intro(report), sections, labels=labels)


class _Examples:
    """Writes examples of a kind."""

    def __init__(
        self, kinds: Mapping[str, Sequence[Example]], found: Places, view: str | None, labels: Mapping[str, int]
    ):
        self.kinds, self.found, self.view, self.labels = kinds, found, view, labels

    def __call__(self, kind: str, summary: str) -> str:
        """A list to open; the summary alone where nothing is to be seen. summary (str): HTML."""
        articles = []
        # Several spans of a sentence may have been drawn: it is shown once
        for place, example in {tuple(example[-5:-1]): example for example in self.kinds.get(kind, ())}.items():
            row = self.found.get(place)
            if row is not None:
                link = None if self.view is None else f"{self.view}#at={example[-1] + 1}"
                articles.append(as_html(example, row, link=link, labels=self.labels))
        return folded(summary, "".join(articles), kind="examples") or f"<p>{summary}</p>"


def _label_rows(report: Mapping[str, Any]) -> Iterator[tuple[str, str, str, Mapping[str, Any]]]:
    """Direction, key, label and counts of all labels."""
    for name, direction in report["directions"].items():
        for key, labels in direction["spans"].items():
            for label, counts in labels.items():
                yield name, key, label, counts


def _intro(report: Mapping[str, Any]) -> str:
    rows = list(_label_rows(report))
    put_in, out = (sum(counts[key] for *_, counts in rows) for key in ("in", "out"))
    lost = sum(sum(counts["lost"].values()) for *_, counts in rows)
    values = [
        ("documents", f"{report['docs']:,}"),
        ("sentences", f"{report['sentences']:,}"),
        ("spans in", f"{put_in:,}"),
        ("spans projected", f"{out:,}"),
        ("spans lost", f"{lost:,} ({share(lost, put_in)})"),
        ("sentences left out", f"{sum(report['sentences_dropped'].values()):,}"),
    ]
    if report["docs_failed"]:
        values.append(("documents failed", f"{report['docs_failed']:,}"))
    unfinished = "" if report["finished"] else "<p><strong>Not finished: this is what is done so far.</strong></p>"
    keys = '<p class="note keys" hidden>Keys: <kbd>j</kbd> next example, <kbd>k</kbd> previous one.</p>'
    return unfinished + totals(values) + keys


def _spans(report: Mapping[str, Any]) -> str:
    rows = []
    for direction, key, label, counts in _label_rows(report):
        lost = sum(counts["lost"].values())
        group = "entity" if key == ENTS else key
        share_lost = share(lost, counts["in"])
        rows.append((label, group, direction, f"{counts['in']:,}", f"{counts['out']:,}", f"{lost:,}", share_lost))
    note = (
        '<p class="note">Lost: a span that has no place on the other side, or whose place another entity has. A span '
        "in parts counts once as it goes in, and each of its parts as it comes out.</p>"
    )
    head = ["label", "group", "languages", "in", "out", "lost", "lost"]
    found = table(head, rows, text=frozenset((1, 2)))
    return found + note if found else "<p>There are no spans.</p>"


def _lost(report: Mapping[str, Any], shown: _Examples) -> str:
    reasons: Counter[str] = Counter()
    for *_, counts in _label_rows(report):
        reasons.update(counts["lost"])
    if not reasons:
        return "<p>No span was lost.</p>"
    by_label = {
        (label, key, direction): counts["lost"]
        for direction, key, label, counts in _label_rows(report)
        if counts["lost"]
    }
    rows = [(label, direction, *(lost.get(r, 0) for r in reasons)) for (label, _, direction), lost in by_label.items()]
    parts = [table(["label", "languages", *reasons], rows, text=frozenset((1,)))]
    for reason, n in reasons.most_common():
        why = f": {escape(REASONS[reason])}" if reason in REASONS else ""
        parts.append(shown(f"lost: {reason}", f"<b>{n:,}</b> {escape(reason)}{why}"))
    return "".join(parts)


def _scores(report: Mapping[str, Any], shown: _Examples, plots: Plots) -> str:
    edges = report["score_edges"]
    labels: dict[str, list[int]] = {}
    for _, _, label, counts in _label_rows(report):
        before = labels.get(label, [0] * len(counts["scores"]))
        labels[label] = [a + b for a, b in zip(before, counts["scores"], strict=True)]
    scored = sorted(((sum(c), label, c) for label, c in labels.items() if any(c)), key=lambda one: (-one[0], one[1]))
    if not scored:
        return "<p>The spans have no scores.</p>"
    all_of_them = [sum(column) for column in zip(*(counts for *_, counts in scored), strict=True)]
    charts = [("all labels", all_of_them)] if len(scored) > 1 else []
    charts += [(label, counts) for _, label, counts in scored[:PLOTTED_LABELS]]
    ticks = {float(n): f"{edges[n]:g}" for n in range(0, len(edges), 5)}
    drawn = "".join(
        plots(
            histogram,
            counts,
            title=f"{name} ({sum(counts):,})",
            unit="score",
            y_unit="spans (log)",
            ticks=ticks,
            log=True,
        )
        for name, counts in charts
    )
    rows = [
        (f"{low:g} to {high:g}", f"{all_of_them[n]:,}", *(f"{counts[n]:,}" for *_, counts in scored))
        for n, (low, high) in enumerate(zip(edges, edges[1:], strict=False))
    ]
    head = ["score", "all labels", *(label for _, label, _ in scored)]
    gold = (
        '<p class="note">No reliability curve: this corpus has no gold annotation on the other side, so nothing here '
        "says how many spans of a score are right. <code>python -m spacy xlt eval-projection --report</code> measures "
        "that on a corpus that has.</p>"
    )
    return (
        (f'<div class="plots">{drawn}</div>' if drawn else "")
        + gold
        + folded("The same as a table", table(head, rows), opened=plots.missing)
        + shown("least sure", "The least sure spans")
    )


def _lengths(report: Mapping[str, Any], shown: _Examples, plots: Plots) -> str:
    edges, parts, drawn, rows = report["ratio_edges"], [], [], []
    names = [f"below {edges[0]:.2f}"]
    names += [f"{low:.2f} to {high:.2f}" for low, high in zip(edges, edges[1:], strict=False)]
    names.append(f"{edges[-1]:.2f} and above")
    ticks = {1.0 + n: f"{edges[n]:g}" for n in range(0, len(edges), 4)}
    directions = report["directions"]
    for name, direction in directions.items():
        source, target = direction["words"]
        ratio = f"{target / source:.2f}" if source else "-"
        parts.append(
            f"<p>{escape(name)}: {direction['pairs']:,} sentences, {source:,} words to {target:,}, "
            f"{ratio} for one on average.</p>"
        )
        drawn.append(
            plots(
                histogram, direction["ratios"], title=name, unit="words for a word of the source", y_unit="sentences",
                ticks=ticks,
            )
        )  # fmt: skip
        translated = direction["translation_scores"]
        if any(translated):
            tenths = {float(n): f"{n / len(translated):g}" for n in range(0, len(translated) + 1, 5)}
            drawn.append(
                plots(
                    histogram, translated, title=f"{name}: translation", unit="mean probability of a piece",
                    y_unit="sentences", ticks=tenths,
                )
            )  # fmt: skip
    rows = [(name, *(f"{d['ratios'][n]:,}" for d in directions.values())) for n, name in enumerate(names)]
    if any(drawn):
        parts.append(f'<div class="plots">{"".join(drawn)}</div>')
    lists = [
        shown(kind, f"The {kind} for their source, of sentences with at least {LEAST_WORDS} words on a side")
        for kind in ("longest translations", "shortest translations")
    ]
    return (
        "".join(parts)
        + folded("The same as a table", table(["ratio", *directions], rows), opened=plots.missing)
        + "".join(lists)
    )


def _flags(report: Mapping[str, Any], shown: _Examples) -> str:
    flags: Counter[str] = Counter()
    for direction in report["directions"].values():
        flags.update(direction["flags"])
    if not flags:
        return "<p>No sentence is flagged.</p>"
    pairs = sum(direction["pairs"] for direction in report["directions"].values())
    dropped = report["sentences_dropped"]
    lists = [
        shown(f"flag: {flag}", f"<b>{n:,}</b> {escape(flag)}, {share(n, pairs)} of the sentences")
        for flag, n in sorted(flags.items(), key=lambda item: (-item[1], item[0]))
    ]
    left_out = ", ".join(f"{escape(flag)} {n:,}" for flag, n in dropped.items()) or "none"
    return "".join(lists) + f'<p class="note">Sentences left out of the corpus for a flag: {left_out}.</p>'


def _words(report: Mapping[str, Any]) -> str:
    unlinked = report["words_unlinked"]
    if not unlinked:
        return ""
    sides = {"source": 0, "target": 1}
    rows = []
    for side, n in unlinked.items():
        words = sum(direction["words"][sides[side]] for direction in report["directions"].values())
        rows.append((side, f"{words:,}", f"{n:,}", share(n, words)))
    return table(["side", "words", "without a link", "share"], rows)


def _time(timings: Mapping[str, Any], plots: Plots) -> str:
    seconds, sentences = timings["seconds"], timings["sentences"]
    whole = sum(seconds.values())
    if not whole:
        return ""
    speed = {name: sentences / value if value else 0.0 for name, value in seconds.items()}
    rows = [
        (name, f"{value:.1f}", share(value, whole), f"{speed[name]:,.0f}" if speed[name] else "-")
        for name, value in seconds.items()
    ]
    rows.append(("all", f"{whole:.1f}", share(whole, whole), f"{sentences / whole:,.0f}"))
    named = {name.removeprefix("xlt_"): name for name in seconds}
    drawn = plots(
        bars,
        [
            (short, seconds[name], f"{seconds[name]:.1f} s, {share(seconds[name], whole)}")
            for short, name in named.items()
        ],
        title="Time of each stage",
        unit="seconds",
    )
    drawn += plots(
        bars,
        [(short, speed[name], f"{speed[name]:,.0f}") for short, name in named.items()],
        title="Speed of each stage",
        unit="sentences a second",
    )
    cache = timings["cache"]
    cached = (
        f"<p>From the cache: {cache.get('hits', 0):,} of {sum(cache.values()):,} translated texts, "
        f"{100 * timings['cache_hit_share']:.0f}%.</p>"
        if sum(cache.values())
        else ""
    )
    note = '<p class="note">Without loading the models.</p>'
    plotted = f'<div class="plots">{drawn}</div>' if drawn else ""
    return plotted + table(["stage", "seconds", "share", "sentences/s"], rows) + cached + note


def _failed(report: Mapping[str, Any]) -> str:
    rows = [(failure["error"], failure["text"]) for failure in report["failed"]]
    more = report["docs_failed"] - len(rows)
    return table(["error", "text"], rows, text=frozenset((1,))) + (f"<p>And {more:,} more.</p>" if more > 0 else "")
