"use strict";

// By the number that both begin with, if they do, otherwise as words; what has no value comes last
// either way.
const value = (row, column) => {
  const cell = row.cells[column];
  return cell.dataset.value ?? cell.textContent.trim();
};
const number = (text) => {
  const start = text.trim().match(/^[+\-−]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?/i);
  return start ? Number(start[0].replace("−", "-")) : NaN;
};

function compare(a, b, down) {
  const [x, y] = [number(a), number(b)];
  const missing = (text) => text === "" || text === "-" || text === "nan" || text === "NaN";
  if (missing(a) || missing(b)) return missing(a) - missing(b);
  const order = (isNaN(x) || isNaN(y) ? 0 : x - y) || a.localeCompare(b, "en", { numeric: true });
  return down ? -order : order;
}

for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    if ("plain" in head.dataset) return;
    const button = document.createElement("button");
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const body = table.tBodies[0];
      body.querySelectorAll("tr.details").forEach((row) => close(row.previousElementSibling));
      const rows = [...body.rows];
      rows.sort((a, b) => compare(value(a, column), value(b, column), down));
      body.append(...rows);
    });
  });
}

const all = document.getElementById("all");
const { names, texts, runs } = JSON.parse(document.getElementById("details").textContent);

function close(row) {
  row.nextElementSibling.remove();
  row.querySelector("button").setAttribute("aria-expanded", "false");
}

function toggle(row) {
  const button = row.querySelector("button");
  if (button.getAttribute("aria-expanded") === "true") return close(row);
  const list = document.createElement("dl");
  runs[row.dataset.run].forEach((number, i) => {
    if (number === null) return;
    const [term, what] = [document.createElement("dt"), document.createElement("dd")];
    term.textContent = names[i];
    what.textContent = texts[number];
    if (texts[number].startsWith("maml-bench ")) what.className = "command";
    list.append(term, what);
  });
  const below = all.tBodies[0].insertRow(row.sectionRowIndex + 1);
  below.className = "details";
  const cell = below.insertCell();
  cell.colSpan = row.cells.length;
  cell.append(list);
  button.setAttribute("aria-expanded", "true");
}

all.tBodies[0].addEventListener("click", (event) => {
  const row = event.target.closest("tr[data-run]");
  if (row) toggle(row);
});

const filter = document.getElementById("filter");
filter.addEventListener("input", () => {
  const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
  let count = 0;
  all.tBodies[0].querySelectorAll("tr.details").forEach((row) => close(row.previousElementSibling));
  for (const row of all.tBodies[0].rows) {
    const text = row.textContent.toLowerCase();
    row.hidden = !words.every((word) => text.includes(word));
    count += !row.hidden;
  }
  document.getElementById("shown").textContent = words.length ? `${count} lines` : "";
});
