// Elements of the document: made, filled, and replaced as a whole.

/** A new element with attributes and children; a child may be text. */
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined && value !== false) made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

/** The element of an id. */
export function at(id) {
  return document.getElementById(id);
}

/** Fill a table's body; where there are no rows, one says so. */
export function fill(table, rows, empty) {
  const body = table.tBodies[0];
  const heads = [...table.tHead.rows[0].cells].map((head) => head.textContent);
  table.removeAttribute("aria-busy");
  const made = rows.map((cells) => element("tr", {}, ...cells.map((cell, column) => element("td", { "data-head": heads[column] }, cell))));
  const next = made.length ? made : [element("tr", {}, element("td", { colspan: heads.length, class: "quiet" }, empty))];
  next.forEach((row, place) => (body.rows[place] ? refill(body.rows[place], row) : body.append(row)));
  while (body.rows.length > next.length) body.rows[next.length].remove();
}

/** Say in a table that the rows of another question are on their way; those of the last one go. */
export function wait(table) {
  fill(table, [], "Loading…");
  table.setAttribute("aria-busy", "true");
}

/** Make a row say what a new one says. Only cells that differ are changed: what has the focus keeps it. */
export function refill(old, row) {
  if (old.cells.length !== row.cells.length) return old.replaceWith(row);
  [...row.cells].forEach((cell, column) => {
    if (old.cells[column].innerHTML !== cell.innerHTML) old.cells[column].replaceWith(cell);
  });
}

/** Fill a list of numbers: what is counted, the number, and how it is reckoned. */
export function figures(list, entries) {
  list.replaceChildren(...entries.map(([name, value, how, kind]) =>
    element("div", { title: how, class: kind }, element("dt", {}, name), element("dd", {}, value), element("dd", { class: "quiet" }, how))));
}
