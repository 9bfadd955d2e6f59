// The rows that pass the filters, of which only those in view are drawn. Heights are guessed until a row was drawn.
const scroller = document.getElementById("scroller");
const holder = document.getElementById("rows");
const AHEAD = 700; // pixels drawn above and below what is seen
const list = {
  shown: [], // numbers of rows, in order
  term: "",
  current: 0, // position in `shown`
  tops: new Float64Array(1),
  heights: new Map(), // number of a row → its height when it was drawn
  drawn: new Map(), // number of a row → its element
  ratio: 1, // of measured to guessed heights
  perLine: 70, // letters that fit on a line, about
};

const narrow = matchMedia("(max-width: 48rem)");
const lettersIn = part => part.words.reduce((sum, word) => sum + word.length, 0) + 6 * part.spans.length;

function guess(number) {
  const row = DATA.rows[number];
  row.letters ??= SIDES.map(side => lettersIn(row[side]));
  const [source, target] = row.letters.map(letters => Math.ceil(letters / list.perLine) || 1);
  return 38 + 31 * (narrow.matches ? source + target : Math.max(source, target));
}

function layOut() {
  const tops = new Float64Array(list.shown.length + 1);
  list.shown.forEach((number, n) => (tops[n + 1] = tops[n] + (list.heights.get(number) ?? guess(number) * list.ratio)));
  list.tops = tops;
  holder.style.height = `${tops[tops.length - 1]}px`;
}

/** Position of the row at a height. */
function positionAt(y) {
  return Math.max(0, Math.min(list.shown.length - 1, firstAbove(list.tops, y) - 1));
}

function drawInView() {
  if (!list.shown.length) return;
  const top = scroller.scrollTop, bottom = top + scroller.clientHeight;
  const anchor = positionAt(top), offset = top - list.tops[anchor];
  const first = positionAt(top - AHEAD), last = positionAt(bottom + AHEAD);
  const keep = new Set(list.shown.slice(first, last + 1));
  const kept = list.shown[list.current];
  for (const [number, element] of list.drawn) {
    // the row that has the focus stays, so that the focus is not lost while one looks elsewhere
    if (keep.has(number) || (number === kept && element.contains(document.activeElement))) continue;
    if (element.contains(links.element)) hideLinks();
    element.remove();
    list.drawn.delete(number);
  }
  const added = [];
  for (let n = first; n <= last; n++) {
    if (!list.drawn.has(list.shown[n])) added.push(addRow(n));
  }
  if (added.length && measure(added)) {
    layOut();
    const moved = list.tops[anchor] + offset - top;
    if (Math.abs(moved) > 1) scroller.scrollTop = top + moved;
  }
  for (const [number, element] of list.drawn) {
    element.style.transform = `translateY(${list.tops[element.position]}px)`;
    const isCurrent = number === kept;
    element.classList.toggle("current", isCurrent);
    element.tabIndex = isCurrent ? 0 : -1;
  }
}

/** Draw a row and put it where it belongs in the order of reading. */
function addRow(position) {
  const number = list.shown[position];
  const element = drawRow(number, position, list.shown.length, list.term);
  element.position = position;
  const after = [...holder.children].find(other => other.position > position);
  holder.insertBefore(element, after ?? null);
  list.drawn.set(number, element);
  return element;
}

/** Note the heights of rows; whether any was not known. */
function measure(elements) {
  let guessed = 0, real = 0, changed = false;
  for (const element of elements) {
    drawArcs(element);
    const number = Number(element.dataset.row), height = element.offsetHeight;
    guessed += guess(number);
    real += height;
    if (list.heights.get(number) !== height) {
      list.heights.set(number, height);
      changed = true;
    }
  }
  if (guessed && list.heights.size < 60) list.ratio = real / guessed;
  return changed;
}

function forgetDrawn() {
  hideLinks();
  for (const element of list.drawn.values()) element.remove();
  list.drawn.clear();
}

/** Show other rows. The row that was current stays current if it is among them. */
function showRows(numbers, term) {
  const was = list.shown[list.current];
  forgetDrawn();
  if (term !== list.term) list.heights.clear();
  Object.assign(list, { shown: numbers, term });
  layOut();
  goTo(Math.max(0, numbers.indexOf(was)), { focus: false });
}

/** Make a row the current one and bring it into view. */
function goTo(position, { focus = true } = {}) {
  list.current = Math.max(0, Math.min(list.shown.length - 1, position));
  if (!list.shown.length) return;
  for (let turn = 0; turn < 3; turn++) {
    bringIntoView();
    drawInView();
  }
  if (focus) list.drawn.get(list.shown[list.current])?.focus({ preventScroll: true });
}

function bringIntoView() {
  const top = list.tops[list.current], height = list.tops[list.current + 1] - top, room = scroller.clientHeight;
  const margin = Math.min(90, room / 6);
  if (top - margin < scroller.scrollTop || height + 2 * margin > room) scroller.scrollTop = Math.max(0, top - margin);
  else if (top + height + margin > scroller.scrollTop + room) scroller.scrollTop = top + height + margin - room;
}

let waitingToDraw = false;
scroller.addEventListener("scroll", () => {
  if (waitingToDraw) return;
  waitingToDraw = true;
  requestAnimationFrame(() => {
    waitingToDraw = false;
    drawInView();
  });
}, { passive: true });

let width = 0;
new ResizeObserver(() => {
  if (holder.clientWidth !== width) {
    width = holder.clientWidth;
    list.perLine = Math.max(10, (width / (narrow.matches ? 1 : 2) - 40) / 8);
    const anchor = list.shown.length ? positionAt(scroller.scrollTop) : 0;
    list.heights.clear();
    hideLinks();
    measure([...list.drawn.values()]);
    layOut();
    scroller.scrollTop = list.tops[anchor];
  }
  drawInView();
}).observe(scroller);

// Paper has no view: all rows, as far as that is reasonable.
const MOST_ON_PAPER = 1000;
addEventListener("beforeprint", () => {
  for (let n = 0; n < Math.min(MOST_ON_PAPER, list.shown.length); n++) {
    if (!list.drawn.has(list.shown[n])) addRow(n);
  }
});
addEventListener("afterprint", drawInView);
