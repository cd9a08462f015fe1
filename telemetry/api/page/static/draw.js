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
  const columns = table.tHead.rows[0].cells.length;
  const made = rows.map((cells) => element("tr", {}, ...cells.map((cell) => element("td", {}, cell))));
  const next = made.length ? made : [element("tr", {}, element("td", { colspan: columns, class: "quiet" }, empty))];
  // Rows stay where they are, and only cells that say something else are changed: what has the focus keeps it.
  next.forEach((row, place) => {
    const old = body.rows[place];
    if (!old || old.cells.length !== row.cells.length) old ? old.replaceWith(row) : body.append(row);
    else [...row.cells].forEach((cell, column) => {
      if (old.cells[column].innerHTML !== cell.innerHTML) old.cells[column].replaceWith(cell);
    });
  });
  while (body.rows.length > next.length) body.rows[next.length].remove();
}

/** Fill a list of numbers: what is counted, the number, and how it is reckoned. */
export function figures(list, entries) {
  list.replaceChildren(...entries.map(([name, value, how, kind]) =>
    element("div", { title: how, class: kind }, element("dt", {}, name), element("dd", {}, value), element("dd", { class: "quiet" }, how))));
}
