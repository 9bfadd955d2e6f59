// What is shown: filters that all must hold. They stand in the address (#lost=any&label=PER&at=12), so that a page can be
// opened at what it is about.
const form = document.getElementById("filters");
const field = name => form.elements.namedItem(name);
const FIELDS = ["q", "label", "lost", "below", "flag"];
const rowFilters = []; // functions (row, state) that must hold as well
const NONE = "", ANY = "any";

function fill(name, none, values, { any } = {}) {
  const options = [[NONE, none], ...(any && values.length ? [[ANY, any]] : []), ...values.map(([v, n]) => [`=${v}`, `${labelText(v)} (${n})`])];
  field(name).append(...options.map(([value, text]) => make("option", { value, text })));
  field(name).disabled = !values.length;
}

/** Each value once a row, so that the number beside it says how many sentences it finds. */
function perRow(values) {
  return counted(DATA.rows.flatMap(row => [...new Set(values(row))]));
}

function fillFilters() {
  fill("label", "all", perRow(row => spansOf(row).map(span => span[LABEL])));
  fill("lost", "all sentences", perRow(row => spansOf(row).filter(isLost).map(span => span[REASON])), { any: "any lost span" });
  fill("flag", "all sentences", perRow(row => row.flags), { any: "any flag" });
}

function readFilters() {
  const state = Object.fromEntries(FIELDS.map(name => [name, field(name).value]));
  state.below = state.below === "" ? null : Number(state.below);
  state.q = folded(state.q.trim());
  return state;
}

const chosenIn = (choice, value) => choice === NONE || choice === ANY || choice === `=${value}`;

/** Whether a row passes. A label says which lost spans and which scores are meant. */
function passes(row, state) {
  if (state.flag !== NONE && !row.flags.some(flag => chosenIn(state.flag, flag))) return false;
  const spans = spansOf(row).filter(span => chosenIn(state.label, span[LABEL]));
  if (state.label !== NONE && !spans.length) return false;
  if (state.lost !== NONE && !spans.some(span => isLost(span) && chosenIn(state.lost, span[REASON]))) return false;
  if (state.below !== null && !spans.some(span => span[SCORE] !== null && span[SCORE] < state.below)) return false;
  if (!rowFilters.every(holds => holds(row, state))) return false;
  return !state.q || haystack(row).includes(state.q);
}

function applyFilters() {
  const state = readFilters();
  const numbers = [];
  DATA.rows.forEach((row, number) => passes(row, state) && numbers.push(number));
  showRows(numbers, state.q);
  const active = FIELDS.filter(name => field(name).value !== "");
  for (const name of FIELDS) field(name).classList.toggle("on", active.includes(name));
  document.getElementById("active-filters").textContent = active.length ? ` (${active.length} set)` : "";
  const total = DATA.rows.length.toLocaleString("en");
  const count = numbers.length.toLocaleString("en");
  document.getElementById("count").textContent =
    active.length ? `${count} of ${total} sentences` : `${total} ${DATA.rows.length === 1 ? "sentence" : "sentences"}`;
  const nothing = document.getElementById("nothing");
  nothing.hidden = numbers.length > 0;
  nothing.textContent = DATA.rows.length ? "No sentence passes the filters." : "There are no sentences to show.";
}

function writeAddress() {
  const params = new URLSearchParams();
  for (const name of FIELDS) if (field(name).value !== "") params.set(name, field(name).value.replace(/^=/, ""));
  if (list.current > 0 && list.shown.length) params.set("at", list.shown[list.current] + 1);
  try {
    history.replaceState(null, "", `#${params}`);
  } catch {
    // a frame without an address of its own
  }
}

let addressTimer = 0;
function addressSoon() {
  clearTimeout(addressTimer);
  addressTimer = setTimeout(writeAddress, 250);
}

function readAddress() {
  const params = new URLSearchParams(location.hash.slice(1));
  for (const name of FIELDS) {
    const value = params.get(name) ?? "";
    field(name).value = field(name).matches("select") && value && value !== ANY ? `=${value}` : value;
    if (field(name).selectedIndex < 0) field(name).value = NONE;
  }
  applyFilters();
  const at = list.shown.indexOf(Number(params.get("at")) - 1);
  if (at > 0) goTo(at, { focus: false });
}

function startFilters() {
  fillFilters();
  let timer = 0;
  form.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(() => (applyFilters(), addressSoon()), 120);
  });
  form.addEventListener("reset", () => setTimeout(() => (applyFilters(), addressSoon())));
  form.addEventListener("submit", event => event.preventDefault());
  addEventListener("hashchange", readAddress);
}
