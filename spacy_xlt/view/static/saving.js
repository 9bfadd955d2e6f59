// Marks are kept by the browser until they are saved as a file, a line for each sentence, in the form of Prodigy.
const review = {
  selected: null, // { number, span }: the span that keys are about
  words: null, // { number, anchor, start, end }: chosen words of a target
  lost: null, // { number, span }: the lost span that is to be placed
  undo: [], // { number, before }
  unsaved: false,
  keeps: true, // whether the browser keeps the marks
  others: [], // lines of a loaded file about sentences that this page does not show
};
const ANSWERS = { [DONE]: "accept", [UNUSABLE]: "reject" };
const place = REVIEW && `spacy_xlt.review.${REVIEW.digest}`;

function lineOf(row) {
  const part = row.target, { state, marks } = snapshot(row);
  let text = "", at = 0;
  const tokens = part.words.map((word, id) => {
    const ws = word.length > 1 && word.endsWith(" "), own = ws ? word.slice(0, -1) : word;
    const start = at, end = start + [...own].length; // characters as Python counts them
    text += own + (ws && id < part.words.length - 1 ? " " : "");
    at = end + (ws ? 1 : 0);
    return { text: own, start, end, id, ws };
  });
  const spans = wanted(part).sort((a, b) => a[START] - b[START] || b[END] - a[END]).map(span => {
    const first = span[START] - part.at, last = span[END] - part.at - 1;
    return {
      start: tokens[first].start, end: tokens[last].end, token_start: first, token_end: last, label: span[LABEL],
      ...(span[KEY] === ENTS ? {} : { key: span[KEY] }),
    };
  });
  const source = row.source;
  return {
    text, tokens, spans, answer: ANSWERS[state] ?? "ignore",
    meta: {
      lang: row.langs[1], doc: row.doc, sentence: row.pair, build: DATA.title, source_lang: row.langs[0],
      source: source.words.join("").trimEnd(), source_tokens: [source.at, source.at + source.words.length],
      id: row.id, format: REVIEW.format, state: state ?? "begun", marks,
    },
  };
}

const isBegun = row => !isEmpty(snapshot(row));

function save() {
  const lines = [...DATA.rows.filter(isBegun).map(row => JSON.stringify(lineOf(row))), ...review.others];
  if (!lines.length) return tell("Nothing is marked, so there is nothing to save.");
  const url = URL.createObjectURL(new Blob([lines.map(line => `${line}\n`).join("")], { type: "application/jsonl" }));
  const link = make("a", { href: url, download: `${DATA.title.replace(/[^\p{L}\p{N}._-]+/gu, "-") || "review"}.review.jsonl` });
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
  setUnsaved(false);
  tell(`${lines.length} ${lines.length === 1 ? "sentence" : "sentences"} saved as ${link.download}.`);
}

function setUnsaved(value) {
  review.unsaved = value;
  keep(place, value ? "unsaved" : "saved");
  showProgress();
}

function keep(key, value) {
  try {
    if (value === null) localStorage.removeItem(key);
    else localStorage.setItem(key, value);
  } catch {
    review.keeps = false; // none here, as in a frame without an origin, or no room
  }
}

function keepRow(row) {
  const now = snapshot(row);
  keep(`${place}.${row.id}`, isEmpty(now) ? null : JSON.stringify(now));
  setUnsaved(true);
}

/** What the browser kept of this page. */
function readKept() {
  try {
    const state = localStorage.getItem(place);
    keep(place, state ?? "saved");
    if (state === null) return;
    review.unsaved = state === "unsaved";
    for (const row of DATA.rows) {
      const kept = localStorage.getItem(`${place}.${row.id}`);
      if (kept) restore(row, JSON.parse(kept));
    }
  } catch {
    review.keeps = false;
  }
}

/** The spans of a line may have been changed by another tool since: they say what the reviewer wants. */
function reconcile(row, spans) {
  const part = row.target;
  const places = spans.map(span => [span.token_start + part.at, span.token_end + 1 + part.at, span.label, span.key ?? ENTS])
    .filter(span => isSpan(shifted(span, -part.at), part.words.length));
  for (const span of wanted(part)) {
    if (!places.some(one => samePlace(one, span))) say(span, null, { wrong: true });
  }
  for (const one of places) {
    if (!wanted(part).some(span => samePlace(one, span))) part.spans.push([...one, null, null, { before: null, lost: null, wrong: false }]);
  }
}

/** Go on where a saved file stopped. Nothing is changed where one of its lines cannot be read. */
function load(text) {
  const rows = new Map(DATA.rows.map((row, number) => [row.id, number]));
  const found = [], others = [];
  for (const [n, line] of text.replace(/^\ufeff/, "").split("\n").entries()) {
    if (!line.trim()) continue;
    let data = null;
    try {
      data = JSON.parse(line);
    } catch {
      // said below
    }
    if (typeof data?.meta?.id !== "string") return tell(`Line ${n + 1} is no line that this page saved. Nothing was loaded.`);
    if (rows.has(data.meta.id)) found.push([rows.get(data.meta.id), data]);
    else others.push(line.trim());
  }
  if (!found.length) return tell("None of its lines is about a sentence of this page. Nothing was loaded.");
  let misfits = 0;
  for (const [number, data] of found) {
    const row = DATA.rows[number], states = { accept: DONE, reject: UNUSABLE };
    misfits += restore(row, { state: states[data.answer], marks: data.meta.marks });
    if (data.answer === "accept" && Array.isArray(data.spans)) reconcile(row, data.spans.filter(span => span && typeof span === "object"));
    keep(`${place}.${row.id}`, JSON.stringify(snapshot(row)));
    redraw(number);
  }
  review.others = [...new Set([...review.others, ...others])];
  review.undo = [];
  setUnsaved(review.unsaved || misfits > 0);
  tell([
    `${found.length} sentences loaded.`,
    ...(misfits ? [`${misfits} marks do not fit and are left out.`] : []),
    ...(others.length ? [`${others.length} lines about sentences that this page does not show are kept.`] : []),
  ].join(" "));
}
