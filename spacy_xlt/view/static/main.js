// The help, and the start of it all.
const help = document.getElementById("help");
const KEY_NAMES = { ArrowDown: "↓", ArrowUp: "↑", ArrowRight: "→", ArrowLeft: "←", Escape: "Esc", PageDown: "Page Down", PageUp: "Page Up" };

function described(pairs) {
  return make("dl", { children: pairs.flatMap(([term, text]) => [make("dt", { children: [term].flat() }), make("dd", { children: [text].flat() })]) });
}

function legend() {
  const looks = [
    [make("mark", { class: "entity first last label-0", text: "Lisbon" }), "an entity; its label stands at its end, with the score of a projected one"],
    [make("mark", { class: "group label-0", text: "the old harbour" }), "a span of a span group, which may overlap others"],
    [make("mark", { class: "entity lost first last label-0", children: [make("span", { class: "word", text: "Maria" })] }), "✗ a span that was lost: struck out, with the reason below"],
    [make("span", { class: "word missing", text: "perhaps" }), "no annotation here, which is not the same as no entity"],
    [make("span", { class: "flag", text: "⚑ copied" }), "a flag of the translation"],
  ];
  return described(looks);
}

function fillHelp() {
  const keys = commands.map(({ keys, help }) => [keys.flatMap((key, n) => [n ? " " : "", make("kbd", { text: KEY_NAMES[key] ?? key })]), help]);
  const made = Object.entries(DATA.signatures).flatMap(([kind, all]) => all.map(signature => [kind, signature]));
  help.append(
    make("form", { method: "dialog", children: [make("button", { text: "Close" })] }),
    make("h2", { id: "help-title", text: "Keys and legend" }),
    make("h3", { text: "Keys" }), described(keys),
    make("h3", { text: "What is shown" }), legend(),
    make("p", { text: "Point at a word or a span, or tap it, to see its links with their scores. Only the sentences in view are in the page, so search with / here." }),
    make("p", { text: "An arrow above the words is a link between two spans; it is broken where the link was lost." }),
    ...(made.length ? [make("h3", { text: "Made by" }), described(made)] : []),
  );
}

function openHelp() {
  if (!help.children.length) fillHelp();
  help.showModal();
}

for (const id of ["help-button", "filter-box", "detail"]) document.getElementById(id).hidden = false;
document.getElementById("help-button").addEventListener("click", openHelp);
document.getElementById("filter-box").open = !matchMedia("(max-width: 48rem)").matches;
matchMedia("(max-width: 48rem)").addEventListener("change", event => {
  document.getElementById("filter-box").open = !event.matches;
});
document.getElementById("languages").textContent = directions.length === 1 ? direction(DATA.rows[0]) : "";
document.addEventListener("keydown", onKey);
startFilters();
startPointing();
readAddress();
