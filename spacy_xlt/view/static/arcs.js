// Links between spans of a text, drawn as arcs above its words from the head to the child. An arc is [start and end of
// the head, start and end of the child, label, score, reason], in token positions of the whole document.
const ARC_LABEL = 4, ARC_SCORE = 5, ARC_REASON = 6;
const arcsOf = part => part.arcs ?? [];

/** The ends of an arc as ranges of tokens. */
const endsOf = arc => [arc.slice(0, 2), arc.slice(2, 4)];

const arcWatcher = new ResizeObserver(entries => {
  for (const { target } of entries) {
    if (target.isConnected) drawArcs(target);
    else arcWatcher.unobserve(target);
  }
});

rowParts.push((row, article) => {
  const most = Math.max(...SIDES.map(side => arcsOf(row[side]).length));
  if (!most) return;
  article.classList.add("with-arcs");
  // What is drawn is said to those who listen alone
  const said = SIDES.flatMap(side => arcsOf(row[side]).map(arc => {
    const drawn = arc[ARC_REASON] === null && endsOf(arc).every(end => spanText(row[side], end));
    return make("li", { class: drawn ? "unseen" : null, text: arcText(row, side, arc) });
  }));
  article.append(make("ul", { class: "notes arc-notes", children: said }));
  arcWatcher.observe(article);
});

/** What an arc says, in words: the list below the row, for those who listen and for ends in other sentences. */
function arcText(row, side, arc) {
  const [head, child] = endsOf(arc).map(([start, end]) => {
    const text = spanText(row[side], [start, end]);
    return text ? `“${isolated(text)}”` : "(another sentence)";
  });
  const score = arc[ARC_SCORE] === null || arc[ARC_SCORE] === 1 ? "" : ` ${scoreText(arc[ARC_SCORE])}`;
  const why = DATA.reasons[arc[ARC_REASON]];
  const lost = arc[ARC_REASON] === null ? "" : `: lost, ${arc[ARC_REASON]}${why ? ` (${why})` : ""}`;
  return `${lost ? "✗ " : ""}${head} → ${labelText(arc[ARC_LABEL])}${score} → ${child}${lost}`;
}

function drawArcs(article) {
  article.querySelector("svg.arcs")?.remove();
  const row = DATA.rows[article.dataset.row], word = finder(article), frame = article.getBoundingClientRect();
  const svg = svgElement("svg", { class: "links arcs", "aria-hidden": "true" });
  for (const side of SIDES) {
    for (const arc of arcsOf(row[side]).slice(0, MOST_CURVES)) {
      const ends = endsOf(arc).map(([start, end]) => [word(side, start), word(side, end - 1)]);
      if (ends.flat().some(element => !element)) continue;
      const [from, to] = ends.map(([first, last]) => topOf(first, last, frame));
      svg.append(...arch(from, to, labelText(arc[ARC_LABEL]), arc[ARC_REASON] === null ? "" : "lost"));
    }
  }
  article.append(svg);
}

/** The middle of the upper edge of a span, of its first line. */
function topOf(first, last, frame) {
  const a = first.getClientRects()[0], b = last.getClientRects()[0];
  const right = b.top < a.bottom ? Math.max(a.right, b.right) : a.right;
  return { x: (Math.min(a.left, b.top < a.bottom ? b.left : a.left) + right) / 2 - frame.left, y: a.top - frame.top };
}

function arch(from, to, text, kind) {
  const height = Math.min(26, 12 + Math.abs(to.x - from.x) / 16), x = (from.x + to.x) / 2;
  const top = Math.min(from.y, to.y) - height * 0.75;
  const path = `M${from.x} ${from.y} C${from.x} ${from.y - height} ${to.x} ${to.y - height} ${to.x} ${to.y - 2}`;
  const tip = `M${to.x - 4} ${to.y - 7} L${to.x} ${to.y - 1} L${to.x + 4} ${to.y - 7}`;
  const [box, name] = label(x, top + 7, text);
  return [
    svgElement("path", { d: path, class: kind, pathLength: 1 }), svgElement("path", { d: tip, class: `${kind} tip`, pathLength: 1 }),
    ...(box ? [box, name] : []),
  ];
}
