// The data of the page. A span is [start, end, label, key, score, reason], in token positions of the whole document.
const DATA = JSON.parse(document.getElementById("data").textContent);
const SIDES = ["source", "target"];
const START = 0, END = 1, LABEL = 2, KEY = 3, SCORE = 4, REASON = 5;
const ENTS = "ents";
const labelNumber = new Map(DATA.labels.map((label, n) => [label, n]));

const isLost = span => span[REASON] !== null;
const spansOf = row => [...row.source.spans, ...row.target.spans];
const labelText = label => label || "(no label)";
const otherSide = side => (side === "source" ? "target" : "source");
const directionOf = (row, side) => DATA.directions[row.langs[side === "source" ? 0 : 1]] ?? "auto";

function langName(code) {
  try {
    return code === "xx" ? "multi-language" : new Intl.DisplayNames(["en"], { type: "language" }).of(code) ?? code;
  } catch {
    return code;
  }
}

const scoreText = score => (score === null ? "" : score.toFixed(2));

/** The words of a span that are in the row, as text. */
function spanText(part, span) {
  const first = Math.max(0, span[START] - part.at);
  return part.words.slice(first, Math.max(first, span[END] - part.at)).join("").trimEnd();
}

/** Links from words of one side: Map of word → [[other word, score], ...], in token positions. Made at first use. */
function linksFrom(row, side) {
  row.linkMaps ??= { source: new Map(), target: new Map() };
  const maps = row.linkMaps;
  if (!maps.made) {
    maps.made = true;
    const add = (map, from, to, score) => (map.has(from) ? map.get(from).push([to, score]) : map.set(from, [[to, score]]));
    for (let n = 0; n < row.links.length; n += 3) {
      const [i, j, score] = row.links.slice(n, n + 3);
      add(maps.source, i, j, score);
      add(maps.target, j, i, score);
    }
  }
  return maps[side];
}

const folded = text => text.normalize("NFKC").toLowerCase();

/** Both texts of a row, the way a search compares them. */
function haystack(row) {
  return (row.haystack ??= SIDES.map(side => folded(row[side].words.join(""))).join("\n"));
}

/** How often each value occurs, the most frequent first. */
function counted(values) {
  const counts = new Map();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return [...counts].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1));
}

/** An element with text, attributes and children; text never becomes markup. */
function make(name, { text, children = [], ...attributes } = {}) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined && value !== false) element.setAttribute(key, value === true ? "" : value);
  }
  if (text !== undefined) element.textContent = text;
  element.append(...children);
  return element;
}
