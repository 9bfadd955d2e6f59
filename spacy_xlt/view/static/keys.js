// Everything by keyboard, and by mouse. A command: the keys that call it, what it does, and what the help says.
const currentRow = () => list.drawn.get(list.shown[list.current]);
const focusedPart = () => document.activeElement?.closest?.(".word, mark") ?? null;

function step(by) {
  const from = document.activeElement?.closest?.(".row");
  goTo((from ? from.position : list.current) + by);
  addressSoon();
}

function focusPart(element) {
  if (!element) return;
  element.tabIndex = -1;
  element.focus({ preventScroll: true });
  element.scrollIntoView({ block: "nearest" });
}

/** The next word, or the one before it, in the order of reading; both texts of a row follow each other. */
function nextWord(by) {
  const row = currentRow();
  if (!row) return;
  const words = [...row.querySelectorAll(".word")], part = focusedPart();
  const at = part ? words.indexOf(part.matches(".word") ? part : part.querySelector(".word")) : by > 0 ? -1 : words.length;
  focusPart(words[Math.max(0, Math.min(words.length - 1, at + by))]);
}

/** An arrow means the word that is there to see: to the left is onward where a text runs from right to left. */
function arrow(by) {
  const side = focusedPart()?.closest(".side");
  const rightToLeft = side && getComputedStyle(side).direction === "rtl";
  nextWord(rightToLeft ? -by : by);
}

function nextSpan(by) {
  const row = currentRow();
  if (!row) return;
  const all = [...row.querySelectorAll("mark.first, mark[data-span]")];
  const marks = all.filter((mark, n) => all.findIndex(m => m.dataset.span === mark.dataset.span && m.closest(".side") === mark.closest(".side")) === n);
  const part = focusedPart();
  let at = by > 0 ? -1 : marks.length;
  // A review begins on the side that can be edited, and comes to the source, with what was lost, after that
  if (REVIEW && by > 0) at = Math.max(-1, marks.findIndex(mark => mark.closest(".target")) - 1);
  if (part) {
    const before = m => m === part || m.compareDocumentPosition(part) & Node.DOCUMENT_POSITION_FOLLOWING;
    at = marks.filter(before).length - (by > 0 || marks.includes(part) ? 1 : 0);
  }
  const next = REVIEW ? (at + by + marks.length) % marks.length : at + by;
  if (marks[next]) focusPart(marks[next]);
}

function nextLost(by) {
  for (let n = list.current + by; n >= 0 && n < list.shown.length; n += by) {
    if (spansOf(DATA.rows[list.shown[n]]).some(isLost)) {
      goTo(n);
      return addressSoon();
    }
  }
  announcer.textContent = "No more lost spans.";
}

/** From a word or a span to the first word that it is linked to. */
function across() {
  const part = focusedPart(), chosen = part && targetOf(part);
  if (!chosen) return nextWord(1);
  const map = linksFrom(chosen.row, chosen.side);
  const best = chosen.tokens.flatMap(token => map.get(token) ?? []).sort((a, b) => b[1] - a[1])[0];
  if (best) focusPart(finder(chosen.article)(otherSide(chosen.side), best[0]));
}

function back() {
  hideLinks();
  currentRow()?.focus({ preventScroll: true });
}

function search() {
  document.getElementById("filter-box").open = true;
  field("q").focus();
  field("q").select();
}

const commands = [
  { keys: ["j", "ArrowDown"], help: "next sentence", run: () => step(1) },
  { keys: ["k", "ArrowUp"], help: "sentence before", run: () => step(-1) },
  { keys: ["PageDown"], help: "five sentences on", run: () => step(5) },
  { keys: ["PageUp"], help: "five sentences back", run: () => step(-5) },
  { keys: ["Home"], help: "first sentence", run: () => (goTo(0), addressSoon()) },
  { keys: ["End"], help: "last sentence", run: () => (goTo(list.shown.length - 1), addressSoon()) },
  { keys: ["ArrowRight"], help: "word to the right, with its links", run: () => arrow(1) },
  { keys: ["ArrowLeft"], help: "word to the left, with its links", run: () => arrow(-1) },
  { keys: ["e"], help: "next span of the sentence, with the links of its words", run: () => nextSpan(1) },
  { keys: ["E"], help: "span before", run: () => nextSpan(-1) },
  { keys: ["Enter"], help: "to the word on the other side with the surest link", run: across },
  { keys: ["l"], help: "next sentence with a lost span", run: () => nextLost(1) },
  { keys: ["L"], help: "sentence with a lost span before", run: () => nextLost(-1) },
  { keys: ["/"], help: "search", run: search },
  { keys: ["c"], help: "clear the filters", run: () => form.reset() },
  { keys: ["Escape"], help: "back to the sentence", run: back },
  { keys: ["?"], help: "this help", run: () => openHelp() },
];

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || document.querySelector("dialog[open]")) return;
  const at = event.target;
  if (at.closest("input, select, textarea, summary, button")) {
    if (event.key !== "Escape" || !at.closest("form")) return;
  }
  const command = commands.find(one => one.keys.includes(event.key));
  if (!command) return;
  event.preventDefault();
  command.run();
}

function startPointing() {
  const partUnder = event => event.target.closest?.(".word, mark, .tag");
  const whole = element => (element?.matches(".tag") ? element.closest("mark") : element);
  let pinned = false;
  holder.addEventListener("pointerover", event => {
    if (event.pointerType === "touch" || pinned) return;
    const part = whole(partUnder(event));
    if (part) showLinks(part);
    else if (!focusedPart()) hideLinks();
    else showLinks(focusedPart());
  });
  scroller.addEventListener("pointerleave", () => {
    if (!pinned && !focusedPart()) hideLinks();
  });
  holder.addEventListener("click", event => {
    const article = event.target.closest(".row"), part = whole(partUnder(event));
    if (!article || String(getSelection())) return;
    list.current = article.position;
    addressSoon();
    if (part) focusPart(part);
    else article.focus({ preventScroll: true });
    drawInView();
  });
  holder.addEventListener("focusin", event => {
    const article = event.target.closest(".row");
    if (list.current !== article.position) {
      list.current = article.position;
      drawInView();
    }
    if (event.target.matches(".word, mark")) showLinks(event.target, { say: true });
    else hideLinks();
  });
}
