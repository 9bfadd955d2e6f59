// Links between spans of a text, drawn above its words as brackets from the head to the child. An arc is [start and end of
// the head, start and end of the child, label, score, reason, words of the head, words of the child], in token positions
// of the whole document.
const ARC_LABEL = 4, ARC_SCORE = 5, ARC_REASON = 6, ARC_WORDS = 7;
// Pixels from lane to lane, and from the words to the lowest one; lanes above a line; pixels between two pieces of a lane
const LANE = 17, LOWEST = 13, MOST_LANES = 12, GAP = 4;
const arcsOf = part => part.arcs ?? [];

/** The ends of an arc as ranges of tokens. */
const endsOf = arc => [arc.slice(0, 2), arc.slice(2, 4)];

rowParts.push((row, article) => {
  if (!SIDES.some(side => arcsOf(row[side]).length)) return;
  article.classList.add("with-arcs");
  // What is drawn is said to those who listen alone
  const said = SIDES.flatMap((side, n) => arcsOf(row[side]).map(arc => {
    const drawn = arc[ARC_REASON] === null && endsOf(arc).every(end => spanText(row[side], end));
    return make("li", { class: drawn ? "unseen" : null, text: `${row.langs[n]} ${arcText(arc)}` });
  }));
  article.append(make("ul", { class: "notes arc-notes", children: said }));
});

/** What an arc says, in words: the list below the row, for those who listen and for ends in other sentences. */
function arcText(arc) {
  const [head, child] = arc.slice(ARC_WORDS).map(words => `“${isolated(words)}”`);
  const score = arc[ARC_SCORE] === null || arc[ARC_SCORE] === 1 ? "" : ` ${scoreText(arc[ARC_SCORE])}`;
  const why = DATA.reasons[arc[ARC_REASON]];
  const lost = arc[ARC_REASON] === null ? "" : `: lost, ${arc[ARC_REASON]}${why ? ` (${why})` : ""}`;
  return `${lost ? "✗ " : ""}${head} → ${labelText(arc[ARC_LABEL])}${score} → ${child}${lost}`;
}

/** Draw the arcs of a row that is in the page, and make room for them between its lines. */
function drawArcs(article) {
  if (!article.classList.contains("with-arcs")) return;
  article.querySelector("svg.arcs")?.remove();
  const word = finder(article), svg = svgElement("svg", { class: "links arcs", "aria-hidden": "true" });
  const pieces = SIDES.flatMap(side => {
    const box = article.querySelector(`.${side}`);
    const found = piecesOf(DATA.rows[article.dataset.row][side], token => word(side, token), box);
    box.style.setProperty("--arcs", `${Math.max(0, ...found.map(piece => LOWEST + (piece.lane + 0.5) * LANE))}px`);
    return found;
  });
  // Only now the lines have the room that they need
  const frame = article.getBoundingClientRect();
  const shapes = pieces.map(piece => bracket(piece, frame));
  // No line through a label
  for (const layer of [0, 1]) svg.append(...shapes.flatMap(shape => shape[layer]));
  article.append(svg);
}

/** The arcs of a side in pieces above one line each: one between two lines leaves the first at its end, and enters the other. */
function piecesOf(part, word, box) {
  const area = box.getBoundingClientRect(), rtl = getComputedStyle(box).direction === "rtl";
  const spans = new Map(), pieces = [];
  const spanAt = ([start, stop]) => {
    if (!spans.has(`${start} ${stop}`)) spans.set(`${start} ${stop}`, placeOf(word(start), word(stop - 1)));
    return spans.get(`${start} ${stop}`);
  };
  for (const arc of arcsOf(part).slice(0, MOST_CURVES)) {
    if (endsOf(arc).some(([start, stop]) => !word(start) || !word(stop - 1))) continue;
    const [head, child] = endsOf(arc).map(spanAt);
    const look = { text: labelText(arc[ARC_LABEL]), lost: arc[ARC_REASON] !== null };
    const add = (line, from, to) => pieces.push(pieceOf({ line, from, to, ...look }, area));
    if (isSameLine(head, child)) {
      add(head, head, child);
    } else {
      const edges = [{ x: area.left }, { x: area.right }];
      const [behind, before] = child.top > head.top !== rtl ? edges : edges.reverse();
      add(head, head, before);
      add(child, behind, child);
    }
  }
  giveLanes(pieces);
  spans.forEach(span => spread(span, pieces));
  return pieces;
}

/** The first line of a span: its middle, its width, and a word that stands there. */
function placeOf(first, last) {
  const a = boxOf(first), b = boxOf(last);
  const [left, right] = isSameLine(a, b) ? [Math.min(a.left, b.left), Math.max(a.right, b.right)] : [a.left, a.right];
  return { word: first, top: a.top, height: a.height, x: (left + right) / 2, width: right - left };
}

const boxOf = word => word.getClientRects()[0] ?? word.getBoundingClientRect();
const isSameLine = (a, b) => Math.abs(a.top - b.top) < a.height / 2;

/** A piece with the middle of its label, and what it takes of its lane. */
function pieceOf(piece, area) {
  const half = labelWidth(piece.text) / 2, ends = [piece.from.x, piece.to.x], [left, right] = [Math.min(...ends), Math.max(...ends)];
  const middle = Math.max(area.left + half, Math.min(area.right - half, (left + right) / 2));
  return { ...piece, ends, middle, left: Math.min(left + GAP, middle - half), right: Math.max(right - GAP, middle + half) };
}

/** Give each piece the lowest lane above its line where it meets no other, short ones first. */
function giveLanes(pieces) {
  const done = [];
  for (const piece of [...pieces].sort((a, b) => a.right - a.left - (b.right - b.left))) {
    const met = done.filter(other => isSameLine(other.line, piece.line) && other.left < piece.right + GAP && piece.left < other.right + GAP);
    piece.lane = 0;
    while (piece.lane < MOST_LANES - 1 && met.some(other => other.lane === piece.lane)) piece.lane++;
    done.push(piece);
  }
}

/** Let the pieces that end at a span end beside each other, in an order in which none crosses another. */
function spread(span, pieces) {
  const uses = pieces.flatMap(piece => [piece.from, piece.to].flatMap((end, n) => {
    const toRight = piece.ends[1 - n] > span.x;
    return end === span ? [{ piece, n, order: toRight ? MOST_LANES - piece.lane : piece.lane - MOST_LANES }] : [];
  }));
  uses.sort((a, b) => a.order - b.order);
  const step = Math.min(9, span.width / (uses.length + 1));
  uses.forEach(({ piece, n }, place) => (piece.ends[n] = span.x + (place - (uses.length - 1) / 2) * step));
}

/** The line of a piece and its label. An end at the edge of the text has no leg. */
function bracket({ line, from, to, ends, lane, middle, text, lost }, frame) {
  const foot = boxOf(line.word).top - frame.top - 3, y = foot - LOWEST - lane * LANE;
  const [x1, x2] = ends.map(x => x - frame.left), side = Math.sign(x2 - x1) || 1, round = Math.min(4, Math.abs(x2 - x1) / 2);
  const start = from.word ? `M${x1} ${foot} V${y + round} Q${x1} ${y} ${x1 + side * round} ${y}` : `M${x1} ${y}`;
  const end = to.word ? `H${x2 - side * round} Q${x2} ${y} ${x2} ${y + round} V${foot}` : `H${x2}`;
  const tip = to.word ? [`M${x2 - 3} ${foot - 5} L${x2} ${foot} L${x2 + 3} ${foot - 5}`] : [];
  const paths = [`${start} ${end}`, ...tip].map((d, n) => svgElement("path", { d, class: [lost ? "lost" : "", n ? "tip" : "line"].join(" ") }));
  return [paths, label(middle - frame.left, y + 6, text)];
}
