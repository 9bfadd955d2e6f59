// One side of a row: words inside the spans that hold them. Spans may be nested and may cross; one that crosses another
// is drawn in pieces, and its label stands at the end of the last one.

const MOST_LEVELS = 8;

/** Spans of a part with their ends cut to it; those of span groups each with the level of their line, the lowest free one. */
function spansToDraw(part) {
  const last = part.at + part.words.length;
  const spans = part.spans
    .map((span, number) => ({
      span, number, level: 0, group: span[KEY] !== ENTS,
      start: Math.max(part.at, span[START]), end: Math.min(last, span[END]),
    }))
    .filter(one => one.start < one.end);
  const taken = new Uint32Array(part.words.length); // a bit for each level
  const shortFirst = spans.filter(one => one.group).sort((a, b) => a.end - a.start - (b.end - b.start));
  for (const one of shortFirst) {
    const under = taken.subarray(one.start - part.at, one.end - part.at);
    const used = under.reduce((a, b) => a | b, 0);
    one.level = 1;
    while (one.level < MOST_LEVELS && used & (1 << one.level)) one.level++;
    under.forEach((bits, n) => (under[n] = bits | (1 << one.level)));
  }
  return spans.sort((a, b) => a.start - b.start || b.end - a.end || a.group - b.group || b.level - a.level);
}

function openMark(one, first) {
  const lost = isLost(one.span);
  const kind = one.group ? "group" : "entity";
  const mark = make("mark", {
    class: `${kind} label-${labelNumber.get(one.span[LABEL])}${lost ? " lost" : ""}${first ? " first" : ""}`,
    "data-span": one.number,
  });
  if (one.group) mark.style.setProperty("--level", one.level);
  mark.dataset.level = one.level;
  return mark;
}

function tagOf(one, part) {
  const [, end, label, , score, reason] = one.span;
  const more = end > part.at + part.words.length ? " …" : "";
  const text = (reason === null ? "" : "✗\u00a0") + labelText(label) + more;
  const tag = make("span", { class: "tag", children: [make("bdi", { text })] });
  if (score !== null) tag.append("\u00a0", make("i", { text: scoreText(score), title: "projected score" }));
  return tag;
}

function isMissing(part, token) {
  return part.missing.some(([start, end]) => start <= token && token < end);
}

/** The element with the text of one side. `found` are the words that a search is about, if any. */
function drawSide(row, side, found) {
  const part = row[side];
  const lang = row.langs[side === "source" ? 0 : 1];
  const box = make("div", { class: `side ${side}`, lang: lang === "xx" ? null : lang, dir: directionOf(row, side), "data-side": side });
  const waiting = spansToDraw(part);
  let next = 0;
  const open = []; // { one, mark }, the outermost first
  const inside = () => (open.length ? open[open.length - 1].mark : box);
  const enter = (one, first) => {
    const mark = openMark(one, first);
    inside().append(mark);
    open.push({ one, mark });
  };
  part.words.forEach((word, n) => {
    const token = part.at + n;
    while (next < waiting.length && waiting[next].start <= token) enter(waiting[next++], true);
    const space = word.length > 1 && word.endsWith(" ") ? " " : "";
    const element = document.createElement("span");
    element.className = "word";
    element.setAttribute("data-i", token);
    element.textContent = space ? word.slice(0, -1) : word;
    if (part.missing.length && isMissing(part, token)) element.classList.add("missing");
    if (found?.has(token)) element.classList.add("hit");
    inside().append(element);
    const again = [];
    let ending = open.filter(({ one }) => one.end === token + 1).length;
    while (ending) {
      const { one, mark } = open.pop();
      if (one.end === token + 1) {
        mark.classList.add("last");
        mark.append(tagOf(one, part));
        ending--;
      } else {
        again.unshift(one);
      }
    }
    for (const one of again) enter(one, false);
    if (space) inside().append(space);
  });
  return box;
}

/** The words of one side that a search term touches. */
function wordsFound(part, term) {
  const found = new Set();
  if (!term) return found;
  let text = "";
  const ends = part.words.map(word => (text += folded(word)).length);
  for (let at = text.indexOf(term); at >= 0; at = text.indexOf(term, at + 1)) {
    let n = firstAbove(ends, at);
    do found.add(part.at + n);
    while (n < ends.length && ends[n++] < at + term.length);
  }
  return found;
}

/** Index of the first value of a sorted array that is above a limit. */
function firstAbove(sorted, limit) {
  let low = 0, high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle] > limit) high = middle;
    else low = middle + 1;
  }
  return low;
}
