// A row: its number, what is said of its translation, both texts, and the spans that were lost.

// Functions (row, element) that add to a row when it is drawn.
const rowParts = [];

const direction = row => row.langs.map(langName).join(" → ");
const directions = [...new Set(DATA.rows.map(row => row.langs.join("→")))];
// Where each document is one sentence, its number says nothing more than that of the sentence.
const severalPairs = DATA.rows.some((row, number) => row.doc !== number);

function metaOf(row, number) {
  const meta = make("div", { class: "meta", id: `meta-${number}` });
  meta.append(make("b", { text: `#${number + 1}` }));
  if (severalPairs) meta.append(make("span", { text: `document ${row.doc + 1}` }));
  if (directions.length > 1) meta.append(make("span", { text: direction(row) }));
  if (row.score !== null) meta.append(make("span", { text: `translation ${row.score.toFixed(2)}`, title: "mean log-probability of a piece" }));
  for (const flag of row.flags) meta.append(make("span", { class: "flag", text: `⚑ ${flag}`, title: "flag of the translation" }));
  return meta;
}

function notesOf(row) {
  const items = [];
  for (const side of SIDES) {
    for (const span of row[side].spans.filter(isLost)) {
      const why = DATA.reasons[span[REASON]];
      items.push(make("li", {
        children: [
          `✗ lost ${labelText(span[LABEL])} “`, make("bdi", { text: spanText(row[side], span) }), `”: ${span[REASON]}`,
          ...(why ? [make("small", { text: ` (${why})` })] : []),
        ],
      }));
    }
  }
  return items.length ? make("ul", { class: "notes", children: items }) : null;
}

function drawRow(number, position, total, term) {
  const row = DATA.rows[number];
  const article = make("article", {
    class: "row", tabindex: "-1", "data-row": number, "aria-labelledby": `meta-${number}`, "aria-posinset": position + 1,
    "aria-setsize": total,
  });
  article.append(metaOf(row, number));
  for (const side of SIDES) article.append(drawSide(row, side, term ? wordsFound(row[side], term) : null));
  // both texts keep the same distance between lines
  const levels = Math.max(0, ...[...article.querySelectorAll("mark.group")].map(mark => Number(mark.dataset.level)));
  if (levels) article.style.setProperty("--levels", levels);
  const notes = notesOf(row);
  if (notes) article.append(notes);
  for (const add of rowParts) add(row, article);
  return article;
}
