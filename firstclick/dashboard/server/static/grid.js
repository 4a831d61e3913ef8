/** A table panel. */

import { readable } from "./colours.js";
import { element, fill, write } from "./elements.js";
import { fields } from "./frame.js";

export class Grid {
  constructor(body, panel) {
    this.panel = panel;
    this.head = element("tr");
    this.rows = element("tbody");
    this.empty = element("p", { className: "empty", hidden: true });
    this.table = element("table", {}, element("thead", {}, this.head), this.rows);
    this.table.setAttribute("aria-labelledby", `title-${panel.id}`);
    this.scroll = element("div", { className: "scroll", tabIndex: 0, role: "region" }, this.table);
    this.scroll.setAttribute("aria-labelledby", `title-${panel.id}`);
    body.append(this.scroll, this.empty);
  }

  draw(message) {
    const all = fields(message, this.panel.fieldConfig);
    this.showHead(all);
    this.scroll.hidden = message.rows.length === 0;
    this.empty.hidden = !this.scroll.hidden;
    write(this.empty, this.panel.fieldConfig.defaults.noValue ?? "Nothing");
    const largest = all.map(({ config, kind, values }) =>
      kind === "number" ? config.max ?? Math.max(0, ...values) : 0,
    );
    fill(this.rows, message.rows, (cell, value, at) => dress(cell, value, all[at], largest[at]));
  }

  showHead(all) {
    const key = all.map(({ label }) => label).join("\n");
    if (key === this.shown) return;
    this.shown = key;
    this.rows.replaceChildren();
    this.head.replaceChildren(
      ...all.map((field) => {
        const cell = element("th", { scope: "col" }, field.label);
        cell.classList.toggle("number", isRight(field));
        const { width } = field.config.custom;
        if (width !== undefined) cell.style.setProperty("--width", `${width}px`);
        return cell;
      }),
    );
  }
}

function isRight({ kind, config }) {
  const { align } = config.custom;
  return align === "right" || (align === "auto" && kind === "number");
}

function dress(cell, value, field, largest) {
  const text = field.text(value);
  const { type } = field.config.custom.cellOptions;
  cell.classList.toggle("number", isRight(field));
  if (type === "gauge") {
    if (cell.firstElementChild === null) {
      cell.append(element("span", { className: "gauge" }, element("i")), element("b"));
      cell.classList.add("gauged");
    }
    write(cell.lastElementChild, text);
    const bar = cell.firstElementChild.firstElementChild;
    bar.style.width = `${largest > 0 ? (100 * value) / largest : 0}%`;
    bar.style.backgroundColor = field.colour(value) ?? "";
    return;
  }
  write(cell, text);
  cell.title = field.kind === "text" ? text : "";
  const colour = type === "color-text" ? field.colour(value) : undefined;
  cell.style.color = colour === undefined ? "" : readable(colour, 4.5);
}
