/** Builds elements from text and attributes only, so no value is parsed as markup. */

/** Returns a new element, for example `element("td", { className: "number" }, "12")`. */
export function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

/** Sets a node's text if it differs: setting the same text would lose a selection. */
export function write(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Fills a table's section, and reuses its cells where it can. `dress` fills a cell. */
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
