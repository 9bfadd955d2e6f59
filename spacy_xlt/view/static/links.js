// Links of a word or of a span, drawn as curves to the words of the other side while they are chosen.
const MOST_CURVES = 300; // more of them are a blot
const SVG = "http://www.w3.org/2000/svg";
const detailText = document.getElementById("detail-text");
const announcer = document.getElementById("announcer");
const links = { element: null, row: null, marked: [], svg: null };

function svgElement(name, attributes = {}, text) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== undefined) element.textContent = text;
  return element;
}

/** What a word or a mark stands for: { row, side, tokens, span }. */
function targetOf(element) {
  const article = element.closest(".row"), box = element.closest(".side");
  if (!article || !box) return null;
  const row = DATA.rows[article.dataset.row], side = box.dataset.side, part = row[side];
  if (element.matches(".word")) return { article, row, side, tokens: [Number(element.dataset.i)], span: null };
  const span = part.spans[element.dataset.span];
  const start = Math.max(part.at, span[START]), end = Math.min(part.at + part.words.length, span[END]);
  return { article, row, side, tokens: Array.from({ length: end - start }, (_, n) => start + n), span };
}

function hideLinks() {
  for (const element of links.marked) element.classList.remove("linked", "chosen");
  links.svg?.remove();
  Object.assign(links, { element: null, row: null, marked: [], svg: null });
  detailText.textContent = "";
}

/** Draw the links of a word or a mark; say them as well where it was chosen by key. */
function showLinks(element, { say = false } = {}) {
  if (links.element === element && !say) return;
  hideLinks();
  const chosen = targetOf(element);
  if (!chosen) return;
  links.element = element;
  const { article, row, side, tokens } = chosen;
  const map = linksFrom(row, side), word = finder(article);
  const arriving = new Map(); // word of the other side → scores of the links that arrive there
  const curves = [];
  for (const from of tokens) {
    for (const [to, score] of map.get(from) ?? []) {
      curves.push([from, to, score]);
      arriving.set(to, [...(arriving.get(to) ?? []), score]);
    }
  }
  mark(element, "chosen");
  for (const from of new Set(curves.map(curve => curve[0]))) mark(word(side, from), "linked");
  for (const to of arriving.keys()) mark(word(otherSide(side), to), "linked");
  links.svg = drawing(article, curves, arriving, side, word);
  article.append(links.svg);
  const text = description(chosen, arriving);
  detailText.textContent = text;
  if (say) announcer.textContent = text;
}

function mark(element, name) {
  if (!element) return;
  element.classList.add(name);
  links.marked.push(element);
}

/** A function that finds the element of a token in a row. */
function finder(article) {
  article.words ??= Object.fromEntries(SIDES.map(side => [side, article.querySelectorAll(`.${side} .word`)]));
  const row = DATA.rows[article.dataset.row];
  return (side, token) => article.words[side][token - row[side].at];
}

function drawing(article, curves, arriving, side, word) {
  const svg = svgElement("svg", { class: "links", "aria-hidden": "true" });
  const frame = article.getBoundingClientRect();
  const place = (which, token) => {
    const box = word(which, token).getClientRects()[0] ?? word(which, token).getBoundingClientRect();
    return { x: box.left + box.width / 2 - frame.left, top: box.top - frame.top, bottom: box.bottom - frame.top };
  };
  const [source, target] = SIDES.map(name => article.querySelector(`.${name}`).getBoundingClientRect());
  const beside = source.right <= target.left || target.right <= source.left;
  const labels = [];
  for (const [from, to] of curves.slice(0, MOST_CURVES)) {
    const a = place(side, from), b = place(otherSide(side), to);
    svg.append(svgElement("path", { d: beside ? hanging(a, b) : falling(a, b), pathLength: 1 }));
  }
  for (const [to, scores] of arriving) {
    const at = place(otherSide(side), to);
    labels.push(label(at.x, at.top, scores.filter(score => score !== null).map(scoreText).join(" ")));
  }
  svg.append(...labels.flat());
  return svg;
}

/** Between columns: leaves below a word and comes to another one from below. Between words of the same height it stays
 * in the room between the lines: through a word, it would look like a word struck out. */
function hanging(a, b) {
  const dx = b.x - a.x, sag = 13;
  return `M${a.x} ${a.bottom} C${a.x + dx * 0.2} ${a.bottom + sag} ${b.x - dx * 0.2} ${b.bottom + sag} ${b.x} ${b.bottom}`;
}

/** Between blocks above each other: from the lower edge of the upper word to the upper edge of the lower one. */
function falling(a, b) {
  const [up, down] = a.top <= b.top ? [a, b] : [b, a];
  const dy = Math.max(12, (down.top - up.bottom) * 0.5);
  return `M${up.x} ${up.bottom} C${up.x} ${up.bottom + dy} ${down.x} ${down.top - dy} ${down.x} ${down.top}`;
}

const labelWidth = text => text.length * 6.7 + 8;

function label(x, y, text) {
  if (!text) return [];
  const width = labelWidth(text);
  return [
    svgElement("rect", { x: x - width / 2, y: y - 13, width, height: 14, rx: 4 }),
    svgElement("text", { x, y: y - 2.5 }, text),
  ];
}

/** Text that keeps its direction to itself among other text. */
const isolated = text => `\u2068${text}\u2069`;

/** What the links say, in words: for the line at the foot, and for those who listen. */
function description({ row, side, tokens, span }, arriving) {
  const part = row[side], other = row[otherSide(side)];
  const words = part.words.slice(tokens[0] - part.at, tokens[tokens.length - 1] + 1 - part.at).join("").trim();
  const found = [...arriving].sort((a, b) => a[0] - b[0]).map(([to, scores]) => {
    const best = Math.max(...scores.map(score => score ?? 0));
    return `${isolated(other.words[to - other.at].trim())} ${scoreText(best)}`;
  });
  const said = [];
  if (span) {
    const group = span[KEY] === ENTS ? "entity" : `span group ${span[KEY]}`;
    const score = span[SCORE] === null ? "" : `, score ${scoreText(span[SCORE])}`;
    said.push(` (${labelText(span[LABEL])}, ${group}${score}${isLost(span) ? `, lost: ${span[REASON]}` : ""})`);
  }
  return `${isolated(words)}${said.join("")} → ${found.length ? found.join(" · ") : "no link"}`;
}
