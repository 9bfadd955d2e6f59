// Corrections of the span, the words or the sentence that has the focus.
const reviewMessage = document.getElementById("review-message");

function tell(text) {
  reviewMessage.textContent = text;
  announcer.textContent = text;
}

const quoted = (part, span) => `${labelText(span[LABEL])} “${isolated(spanText(part, span))}”`;

/** Draw a row anew; what had the focus in it has it again. */
function redraw(number) {
  const old = list.drawn.get(number);
  if (!old) return;
  const had = old.contains(document.activeElement), part = focusedPart();
  const again = part?.matches(".word") ? `.${part.closest(".side").dataset.side} .word[data-i="${part.dataset.i}"]` : null;
  hideLinks();
  const element = drawRow(number, old.position, list.shown.length, list.term);
  element.position = old.position;
  old.replaceWith(element);
  list.drawn.set(number, element);
  if (measure([element])) layOut();
  drawInView();
  const selected = review.selected?.number === number ? review.selected.span : null;
  if (had) {
    if (again) focusPart(element.querySelector(again));
    else if (selected) focusPart(element.querySelector(`.target mark[data-span="${DATA.rows[number].target.spans.indexOf(selected)}"]`));
    else element.focus({ preventScroll: true });
  }
  showChosen();
}

/** Make a change that can be taken back. `act` returns what to say, or false where nothing was changed. */
function change(number, act) {
  const row = DATA.rows[number];
  row.given ??= row.target.spans.map(span => [...span]);
  const before = snapshot(row), said = act(row);
  if (said === false) return;
  review.undo.push({ number, before });
  keepRow(row);
  redraw(number);
  tell(said);
}

function undo() {
  const last = review.undo.pop();
  if (!last) return tell("There is nothing to undo.");
  const row = DATA.rows[last.number], was = review.selected?.number === last.number ? review.selected.span : null;
  restore(row, last.before);
  const again = was && (row.target.spans.find(span => samePlace(span, was)) ??
    row.target.spans.find(span => was[MARK]?.before && samePlace(span, was[MARK].before)));
  review.selected = again ? { number: last.number, span: again } : null;
  keepRow(row);
  redraw(last.number);
  tell(`Undone in sentence ${last.number + 1}.`);
}

function withSpan(act) {
  if (!review.selected) return tell("Choose a span of the translation first: press e, or click it.");
  const { number, span } = review.selected;
  change(number, row => act(span, row.target, row));
}

function markRight() {
  withSpan((span, part) => {
    if (isWrong(span) && blocked(part, span.slice(0, SCORE), span)) return false;
    say(span, null);
    return `${quoted(part, span)} is right.`;
  });
}

function markWrong() {
  withSpan((span, part) => {
    if (span[MARK] && !span[MARK].before) {
      part.spans.splice(part.spans.indexOf(span), 1);
      review.selected = null;
      return `${quoted(part, span)}, which was added, is gone.`;
    }
    const mark = span[MARK];
    if (mark) [span[START], span[END], span[LABEL]] = mark.before;
    say(span, null, { wrong: true });
    return `${quoted(part, span)} is wrong.`;
  });
}

function blocked(part, place, self) {
  const other = inTheWay(part, place, self);
  if (other) tell(place[KEY] === ENTS ? `${quoted(part, other)} is in the way: entities cannot overlap.` : "This span is there already.");
  return Boolean(other);
}

/** Give a span other ends or another label. One that is as it was before is unmarked again. */
function alter(span, part, [start, end, label]) {
  if (start >= end || start < part.at || end > part.at + part.words.length) {
    tell("It cannot go further.");
    return false;
  }
  if (samePlace(span, [start, end, label, span[KEY]]) || blocked(part, [start, end, label, span[KEY]], span)) return false;
  say(span, [start, end, label]);
  if (verdictOf(span) === "right") span.length = MARK;
  return `${quoted(part, span)}${span[MARK] ? "" : ", as it was"}.`;
}

function resize(byStart, byEnd) {
  withSpan((span, part) => alter(span, part, [span[START] + byStart, span[END] + byEnd, span[LABEL]]));
}

/** Choose words of the target, one more or one fewer at the end that moves. */
function stretchWords(by) {
  const part = focusedPart();
  const chosen = part && targetOf(part);
  if (!chosen || chosen.side !== "target") return tell("Choose words of the translation, on the other side.");
  const number = Number(chosen.article.dataset.row), token = chosen.tokens[0];
  const kept = review.words?.number === number && review.words.focus === token ? review.words : null;
  const anchor = kept?.anchor ?? token;
  const { at, words } = chosen.row.target;
  const focus = Math.max(at, Math.min(at + words.length - 1, token + by));
  review.words = { number, anchor, focus, start: Math.min(anchor, focus), end: Math.max(anchor, focus) + 1 };
  focusPart(finder(chosen.article)("target", focus));
  showChosen();
  announcer.textContent = `Chosen: ${isolated(spanText(chosen.row.target, [review.words.start, review.words.end]))}`;
}

/** The words that a new span would have. */
function chosenWords() {
  if (review.words) return review.words;
  const part = focusedPart(), chosen = part?.matches(".word") && targetOf(part);
  if (!chosen || chosen.side !== "target") return null;
  return { number: Number(chosen.article.dataset.row), start: chosen.tokens[0], end: chosen.tokens[0] + 1 };
}

function addSpan() {
  const words = chosenWords();
  if (!words) return tell("Choose words of the translation first: Shift and arrows from a word, or drag over them with the mouse.");
  const lost = review.lost?.number === words.number ? review.lost.span : null;
  if (lost) return insert(words, lost[LABEL], lost[KEY], lost);
  askLabel("Add a span", DATA.labels[0] ?? "", true, (label, key) => insert(words, label, key, null));
}

function insert({ number, start, end }, label, key, lost) {
  change(number, row => {
    if (blocked(row.target, [start, end, label, key], null)) return false;
    const span = [start, end, label, key, null, null, { before: null, lost: lost && lost.slice(0, SCORE), wrong: false }];
    row.target.spans.push(span);
    Object.assign(review, { words: null, lost: null, selected: { number, span } });
    return `${quoted(row.target, span)} ${lost ? "placed" : "added"}.`;
  });
}

function changeLabel() {
  if (!review.selected) return withSpan(() => false);
  askLabel("Change the label", review.selected.span[LABEL], false, label =>
    withSpan((span, part) => alter(span, part, [span[START], span[END], label])));
}

const currentNumber = () => list.shown[list.current];

function markSentence(state, said) {
  if (currentNumber() === undefined) return;
  change(currentNumber(), row => {
    row.state = row.state === state ? null : state;
    return `Sentence ${currentNumber() + 1} is ${row.state ? said : "open again"}.`;
  });
}

function nextOpen() {
  for (let n = 1; n <= list.shown.length; n++) {
    const position = (list.current + n) % list.shown.length;
    if (!DATA.rows[list.shown[position]].state) {
      goTo(position);
      return addressSoon();
    }
  }
  tell("Every sentence shown here is reviewed.");
}
