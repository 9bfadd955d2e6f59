// The bar of the review: buttons, keys, what is done, and its filter.
const bar = document.getElementById("review");
const labelDialog = document.getElementById("label-dialog");
const SHIFT = "Shift ";

const reviewCommands = [
  { keys: ["r"], button: "✓ Right", help: "the span is right", run: markRight },
  { keys: ["w", "Delete"], button: "✗ Wrong", help: "the span is wrong: it goes away", run: markWrong },
  { keys: [`${SHIFT}→`, "]"], help: "the end of the span a word on; from a word, choose one more", run: () => resize(0, 1) },
  { keys: [`${SHIFT}←`, "["], help: "the end of the span a word back", run: () => resize(0, -1) },
  { keys: [","], help: "the start of the span a word back", run: () => resize(-1, 0) },
  { keys: ["."], help: "the start of the span a word on", run: () => resize(1, 0) },
  { keys: ["t"], button: "✎ Label", help: "change the label of the span", run: changeLabel },
  { keys: ["a"], button: "+ Add", help: "add a span from the chosen words, or place the lost span there that was chosen before", run: addSpan },
  { keys: ["d"], button: "☑ Done", help: "the sentence is reviewed: its spans are right as they stand", run: () => markSentence(DONE, "reviewed") },
  { keys: ["x"], button: "⊘ Unusable", help: "the sentence is to be left out", run: () => markSentence(UNUSABLE, "marked unusable") },
  { keys: ["u"], button: "↶ Undo", help: "take the last change back", run: undo },
  { keys: ["n"], button: "Next open", help: "next sentence that is not reviewed", run: nextOpen },
  { keys: ["Ctrl S"], button: "Save", help: "save the marks as a file", run: save },
  { keys: [], button: "Load…", help: "", run: () => document.getElementById("review-file").click() },
];

function askLabel(title, label, withKey, use) {
  const { label: input, key } = labelDialog.querySelector("form").elements;
  document.getElementById("label-title").textContent = title;
  input.value = label;
  key.closest("label").hidden = !withKey || key.options.length < 2;
  labelDialog.returnValue = "";
  labelDialog.onclose = () => {
    if (labelDialog.returnValue === "ok" && input.value.trim()) use(input.value.trim(), key.value);
  };
  labelDialog.showModal();
  input.select();
}

function showProgress() {
  const states = DATA.rows.map(stateOf), count = which => states.filter(state => state === which).length;
  const done = count(DONE) + count(UNUSABLE), begun = count("begun");
  const kept = review.keeps ? "" : " This browser keeps nothing for this page: save before you leave.";
  document.getElementById("review-count").textContent =
    `${done.toLocaleString("en")} of ${DATA.rows.length.toLocaleString("en")} reviewed${begun ? `, ${begun} begun` : ""}` +
    `${review.unsaved ? " · not saved yet" : ""}.${kept}`;
  const lost = review.lost;
  document.getElementById("review-hint").textContent =
    lost ? `To place ${quoted(DATA.rows[lost.number].source, lost.span)}: choose its words, then Add (a).` : "";
}

/** What is said of a row and its spans, in words. */
function addReview(row, article) {
  const state = stateOf(row), part = row.target;
  if (state) article.querySelector(".meta").append(make("span", { class: "state", text: STATES[state] }));
  article.classList.toggle("reviewed", Boolean(row.state));
  const items = [];
  part.spans.forEach((span, number) => {
    const verdict = verdictOf(span);
    if (!verdict) return;
    const marks = [...article.querySelectorAll(`.target mark[data-span="${number}"]`)];
    if (verdict === "wrong") for (const mark of marks) mark.classList.add("lost");
    marks[marks.length - 1]?.querySelector(":scope > .tag")?.append(make("b", { class: "verdict", text: `\u00a0${VERDICTS[verdict]}` }));
    const { before, lost } = span[MARK];
    if (verdict === "moved" || verdict === "relabelled") items.push(`${VERDICTS[verdict]}: ${quoted(part, before)} is now ${quoted(part, span)}`);
    if (lost) items.push(`${VERDICTS.placed}: ${quoted(row.source, lost)} is ${quoted(part, span)}`);
  });
  if (!items.length) return;
  const notes = article.querySelector(".notes") ?? make("ul", { class: "notes" });
  notes.append(...items.map(text => make("li", { class: "said", text })));
  if (!notes.isConnected) article.append(notes);
}

/** The span that an element is about: the innermost one around it that can be reviewed. */
function selectFrom(element) {
  const article = element.closest(".row"), number = Number(article.dataset.row), row = DATA.rows[number];
  review.selected = null;
  if (review.lost && review.lost.number !== number) review.lost = null;
  if (review.words && (review.words.number !== number || !element.matches(`.target .word[data-i="${review.words.focus}"]`))) review.words = null;
  for (let mark = element.closest("mark"); mark; mark = mark.parentElement.closest("mark")) {
    const side = mark.closest(".side").dataset.side, span = row[side].spans[mark.dataset.span];
    if (side === "target" && isEditable(row.target, span)) review.selected = { number, span };
    else if (side === "source" && isLost(span)) review.lost = { number, span };
    else continue;
    break;
  }
  showChosen();
}

function onReviewKey(event) {
  if (document.querySelector("dialog[open]")) return;
  if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "s") {
    event.preventDefault();
    return save();
  }
  const part = focusedPart();
  if (event.key === "Escape") Object.assign(review, { words: null, lost: null });
  if (!event.shiftKey || !part || !["ArrowLeft", "ArrowRight"].includes(event.key)) return;
  event.preventDefault();
  const rightToLeft = getComputedStyle(part.closest(".side")).direction === "rtl";
  const by = (event.key === "ArrowRight") !== rightToLeft ? 1 : -1;
  if (part.matches(".word")) stretchWords(by);
  else resize(0, by);
}

function fillBar() {
  for (const { keys, button, help: title, run } of reviewCommands.filter(command => command.button)) {
    const key = keys[0] ?? "";
    const element = make("button", { type: "button", title, "aria-keyshortcuts": key === "Ctrl S" ? "Control+S" : key || null, text: button });
    if (key) element.append(" ", make("kbd", { text: key }));
    element.addEventListener("pointerdown", event => event.preventDefault()); // the span keeps the focus
    element.addEventListener("click", run);
    document.getElementById("review-buttons").append(element);
  }
  document.getElementById("review-file").addEventListener("change", async event => {
    const [file] = event.target.files;
    if (file) load(await file.text());
    event.target.value = "";
  });
  const form = labelDialog.querySelector("form").elements;
  document.getElementById("known-labels").append(...DATA.labels.map(value => make("option", { value })));
  const keys = [...new Set([ENTS, ...DATA.rows.flatMap(row => spansOf(row).map(span => span[KEY]))])].filter(key => !key.startsWith(REVIEW.candidates));
  form.key.append(...keys.map(value => make("option", { value, text: value === ENTS ? "entities" : `span group ${value}` })));
}

function startReview() {
  rowParts.push(addReview);
  commands.push(...reviewCommands.filter(command => command.keys.length));
  FIELDS.push("review");
  rowFilters.push((row, { review: choice }) => !choice || choice === `=${stateOf(row)}` || choice === `=${row.state ? "done" : "open"}`);
  field("review").closest("label").hidden = false;
  readKept();
  fillBar();
  bar.hidden = false;
  showProgress();
  document.addEventListener("keydown", onReviewKey, true);
  holder.addEventListener("focusin", event => selectFrom(event.target));
  holder.addEventListener("pointerup", event => event.target.closest?.(".handle") ?? pickSelection());
  addEventListener("resize", () => requestAnimationFrame(showChosen));
  addEventListener("beforeunload", event => review.unsaved && event.preventDefault());
}

if (REVIEW) startReview();
