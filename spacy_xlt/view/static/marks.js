// What a reviewer says of the spans of a target. A span that something was said of has, beside its values, what it was
// before (null where it was added), the lost span that it stands for, and whether it is wrong.
const REVIEW = DATA.review ?? null;
const MARK = 6;
const DONE = "done", UNUSABLE = "unusable";
const VERDICTS = {
  right: "✓ right", wrong: "✗ wrong", moved: "↔ moved", relabelled: "✎ label changed", added: "+ added", placed: "+ placed",
};
const STATES = { done: "☑ reviewed", unusable: "⊘ unusable, to be left out", begun: "◐ begun" };

const isWrong = span => span[MARK]?.wrong === true;
/** Whether a span is one to review: one that lies in the sentence, and is annotation. */
const isEditable = (part, span) =>
  !isLost(span) && span[START] >= part.at && span[END] <= part.at + part.words.length &&
  span[KEY] !== REVIEW.candidates && !span[KEY].startsWith(`${REVIEW.candidates}:`);
const samePlace = (a, b) => a[START] === b[START] && a[END] === b[END] && a[LABEL] === b[LABEL] && a[KEY] === b[KEY];

function verdictOf(span) {
  const mark = span[MARK];
  if (!mark) return null;
  if (mark.wrong) return "wrong";
  if (!mark.before) return mark.lost ? "placed" : "added";
  if (mark.before[START] !== span[START] || mark.before[END] !== span[END]) return "moved";
  return mark.before[LABEL] === span[LABEL] ? "right" : "relabelled";
}

/** Positions in the sentence, as they are saved, or back to those of the document. */
const shifted = (span, by) => span && [span[START] + by, span[END] + by, ...span.slice(LABEL, REASON)];

function marksOf(row) {
  const at = row.target.at;
  return row.target.spans.filter(span => span[MARK]).map(span => ({
    mark: verdictOf(span),
    from: shifted(span[MARK].before, -at),
    to: isWrong(span) ? null : shifted(span, -at).slice(0, SCORE),
    ...(span[MARK].lost ? { lost: shifted(span[MARK].lost, -row.source.at).slice(0, SCORE) } : {}),
  }));
}

/** All that was said of a row, as plain data. */
const snapshot = row => ({ state: row.state ?? null, marks: marksOf(row) });
const isEmpty = ({ state, marks }) => !state && !marks.length;
const stateOf = row => row.state ?? (row.target.spans.some(span => span[MARK]) ? "begun" : null);

const isSpan = (span, words) =>
  Array.isArray(span) && Number.isInteger(span[START]) && Number.isInteger(span[END]) && span[START] < span[END] &&
  (!words || (span[START] >= 0 && span[END] <= words)) && typeof span[LABEL] === "string" && typeof span[KEY] === "string";

/** Take a row back to what it was when a snapshot was made. Marks that do not fit the row are left out: how many. */
function restore(row, { state, marks }) {
  const part = row.target, words = part.words.length;
  row.given ??= part.spans.map(span => [...span]);
  part.spans = row.given.map(span => [...span]);
  row.state = state === DONE || state === UNUSABLE ? state : null;
  let misfits = 0;
  for (const { from, to, lost } of Array.isArray(marks) ? marks : []) {
    const before = isSpan(from, words) ? shifted(from, part.at) : null;
    const after = isSpan(to, words) ? shifted(to, part.at) : null;
    const stands = isSpan(lost) ? shifted(lost, row.source.at) : null;
    const found = before && part.spans.find(span => isEditable(part, span) && samePlace(span, before) && !span[MARK]);
    if ((from && !found) || (to && !after) || !(found || after)) misfits++;
    else if (found) say(found, after, { wrong: !after });
    else part.spans.push([...after.slice(0, SCORE), null, null, { before: null, lost: stands, wrong: false }]);
  }
  return misfits;
}

/** Note of a span that it is as it is now, or should be at another place, or is wrong. */
function say(span, place, { wrong = false } = {}) {
  span[MARK] ??= { before: span.slice(0, REASON), lost: null, wrong };
  span[MARK].wrong = wrong;
  if (place) [span[START], span[END], span[LABEL]] = place;
}

/** The spans that a reviewer wants: neither wrong nor lost. */
const wanted = part => part.spans.filter(span => isEditable(part, span) && !isWrong(span));

/** Another entity in the way, or the same span once more. */
function inTheWay(part, place, self) {
  return part.spans.find(span => span !== self && !isLost(span) && !isWrong(span) && span[KEY] === place[KEY] && (
    samePlace(span, place) || (place[KEY] === ENTS && span[START] < place[END] && place[START] < span[END])
  ));
}
