// Steps through the examples: j and k anywhere, and buttons in each list. Without it all of them are there to read.
(() => {
'use strict';
const examples = [...document.querySelectorAll(".example")];
let current = null;

function goTo(example) {
  if (!example) return;
  if (current) current.classList.remove("current");
  current = example;
  for (let box = example.closest("details"); box; box = box.parentElement.closest("details")) box.open = true;
  example.classList.add("current");
  example.focus({ preventScroll: true });
  example.scrollIntoView({ block: "nearest" });
  const list = [...example.closest("details").querySelectorAll(".example")];
  example.closest("details").querySelector(".at").textContent = `${list.indexOf(example) + 1} of ${list.length}`;
}

function step(list, by) {
  const at = list.indexOf(document.activeElement.closest(".example") ?? current);
  goTo(at < 0 ? list[by > 0 ? 0 : list.length - 1] : list[at + by]);
}

for (const box of document.querySelectorAll("details.examples")) {
  const list = [...box.querySelectorAll(".example")];
  const bar = document.createElement("div");
  bar.className = "steps";
  for (const [text, by] of [["Previous", -1], ["Next", 1]]) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = text;
    button.addEventListener("click", () => step(list, by));
    bar.append(button);
  }
  const at = document.createElement("span");
  at.className = "at note";
  at.setAttribute("role", "status");
  at.textContent = `${list.length} to see`;
  bar.append(at);
  box.querySelector("summary").after(bar);
}

document.addEventListener("keydown", event => {
  if (event.ctrlKey || event.altKey || event.metaKey || (event.key !== "j" && event.key !== "k")) return;
  event.preventDefault();
  step(examples, event.key === "j" ? 1 : -1);
});
for (const hint of document.querySelectorAll(".keys")) hint.hidden = false;
})();
