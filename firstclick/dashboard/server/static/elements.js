/** Elements, by text and attributes alone: no markup comes from values. */

/** `element("td", { className: "number" }, "12", …)`. */
export function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

/** Replaces a text where it differs, so that a selection survives. */
export function write(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** A table's section so filled, its cells kept wherever that is right. */
export function fill(section, rows, dress) {
  const isHead = section.localName === "thead";
  while (section.rows.length > rows.length) section.deleteRow(-1);
  rows.forEach((cells, at) => {
    const row = section.rows[at] ?? section.insertRow();
    while (row.cells.length > cells.length) row.deleteCell(-1);
    cells.forEach((cell, column) => {
      if (row.cells.length === column) {
        row.append(isHead ? element("th", { scope: "col" }) : element("td"));
      }
      dress(row.cells[column], cell, column);
    });
  });
}
