// What is chosen: words, and the ends of a span with handles that the mouse, or a finger, drags.
const chosen = { marked: [], handles: [] };

function showChosen() {
  for (const element of chosen.marked) element.classList.remove("picked", "waiting");
  for (const handle of chosen.handles) handle.remove();
  Object.assign(chosen, { marked: [], handles: [] });
  if (review.words) pick(review.words.number, review.words.start, review.words.end);
  if (review.lost) {
    const row = DATA.rows[review.lost.number], article = list.drawn.get(review.lost.number);
    for (const element of article?.querySelectorAll(`.source mark[data-span="${row.source.spans.indexOf(review.lost.span)}"]`) ?? []) {
      element.classList.add("waiting");
      chosen.marked.push(element);
    }
  }
  if (review.selected && !isWrong(review.selected.span)) addHandles(review.selected);
  showProgress();
}

function pick(number, start, end) {
  const article = list.drawn.get(number);
  if (!article) return;
  const word = finder(article);
  for (let token = start; token < end; token++) {
    word("target", token).classList.add("picked");
    chosen.marked.push(word("target", token));
  }
}

function addHandles({ number, span }) {
  const article = list.drawn.get(number);
  if (!article) return;
  const word = finder(article), frame = article.getBoundingClientRect();
  const rightToLeft = getComputedStyle(article.querySelector(".target")).direction === "rtl";
  for (const edge of ["start", "end"]) {
    const boxes = [...word("target", edge === "start" ? span[START] : span[END] - 1).getClientRects()];
    const box = edge === "start" ? boxes[0] : boxes[boxes.length - 1];
    if (!box) continue;
    const handle = make("span", { class: `handle ${edge}`, "aria-hidden": "true", title: `drag the ${edge} of the span` });
    const atLeft = (edge === "start") !== rightToLeft;
    handle.style.left = `${(atLeft ? box.left : box.right) - frame.left}px`;
    handle.style.top = `${box.top - frame.top}px`;
    handle.style.height = `${box.height}px`;
    handle.addEventListener("pointerdown", event => drag(event, handle, edge, { number, span }));
    article.append(handle);
    chosen.handles.push(handle);
  }
}

/** The word of a target under a point. */
function wordAt(article, x, y) {
  return document.elementsFromPoint(x, y).find(element => element.matches(".word") && element.closest(".target") && article.contains(element));
}

function drag(event, handle, edge, { number, span }) {
  event.preventDefault();
  handle.setPointerCapture(event.pointerId);
  const article = list.drawn.get(number), part = DATA.rows[number].target;
  let [start, end] = span;
  handle.addEventListener("pointermove", moved => {
    const word = wordAt(article, moved.clientX, moved.clientY);
    if (!word) return;
    const token = Number(word.dataset.i);
    if (edge === "start") start = Math.min(token, end - 1);
    else end = Math.max(token + 1, start + 1);
    for (const element of chosen.marked) element.classList.remove("picked");
    chosen.marked = [];
    pick(number, start, end);
    detailText.textContent = quoted(part, [start, end, span[LABEL]]);
  });
  const stop = apply => {
    ignoreClick();
    review.selected = { number, span };
    if (apply && (start !== span[START] || end !== span[END])) resize(start - span[START], end - span[END]);
    showChosen();
  };
  handle.addEventListener("pointerup", () => stop(true), { once: true });
  handle.addEventListener("pointercancel", () => stop(false), { once: true });
}

/** A drag ends with a click that means nothing. */
function ignoreClick() {
  const ignore = event => event.stopImmediatePropagation();
  addEventListener("click", ignore, { capture: true, once: true });
  setTimeout(() => removeEventListener("click", ignore, { capture: true }));
}

/** Words that the mouse was drawn over. */
function pickSelection() {
  const selection = getSelection();
  if (selection.isCollapsed || !selection.rangeCount) return;
  const range = selection.getRangeAt(0);
  const box = [range.startContainer, range.endContainer].map(node => (node.nodeType === Node.TEXT_NODE ? node.parentElement : node)?.closest?.(".target"));
  if (!box[0] || box[0] !== box[1]) return;
  const words = [...box[0].querySelectorAll(".word")].filter(word => touches(range, word));
  if (!words.length) return;
  const number = Number(box[0].closest(".row").dataset.row);
  const start = Number(words[0].dataset.i), end = Number(words[words.length - 1].dataset.i) + 1;
  review.words = { number, anchor: start, focus: end - 1, start, end };
  list.current = list.drawn.get(number).position;
  selection.removeAllRanges();
  ignoreClick();
  drawInView();
  focusPart(words[words.length - 1]);
  showChosen();
  announcer.textContent = `Chosen: ${isolated(spanText(DATA.rows[number].target, [start, end]))}`;
}

/** Whether a part of a word lies in a range, not only its edge. */
function touches(range, word) {
  const own = document.createRange();
  own.selectNodeContents(word);
  return range.compareBoundaryPoints(Range.END_TO_START, own) < 0 && range.compareBoundaryPoints(Range.START_TO_END, own) > 0;
}
