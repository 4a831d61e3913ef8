/** What bars and lines share: ECharts, the legend, the tooltip, the values as a table. */

import { element, fill, write } from "./elements.js";
import { onTheme, token } from "./theme.js";

const library = import(document.documentElement.dataset.echarts);
const still = matchMedia("(prefers-reduced-motion: reduce)");

/** Most rows of the values' table: it is for reading. */
const ROWS = 240;

export class Chart {
  constructor(body, panel) {
    this.panel = panel;
    this.hidden = new Set();
    this.canvas = element("div", { className: "canvas", role: "img" });
    this.canvas.setAttribute("aria-label", `${panel.title}: the values are in the table that follows`);
    this.legend = element("ul", { className: "legend" });
    this.legend.setAttribute("aria-label", `Series of ${panel.title}`);
    this.head = element("thead");
    this.rows = element("tbody");
    const table = element("table", {}, this.head, this.rows);
    table.setAttribute("aria-labelledby", `title-${panel.id}`);
    this.values = element("div", { className: "scroll values" }, table);
    this.empty = element("p", { className: "empty", hidden: true });
    body.append(this.canvas, this.legend, this.values, this.empty);
    new ResizeObserver(() => this.resize()).observe(this.canvas);
    onTheme(() => this.paint());
  }

  async draw(message) {
    this.message = message;
    this.echarts ??= (await library).echarts;
    this.chart ??= this.start();
    this.paint();
  }

  start() {
    const chart = this.echarts.init(this.canvas, null, { renderer: "canvas" });
    this.watch(chart);
    return chart;
  }

  /** For what else should happen in a chart. */
  watch(chart) {}

  resize() {
    if (this.chart === undefined || this.canvas.clientWidth === 0) return;
    this.chart.resize();
    this.paint();
  }

  paint() {
    if (this.chart === undefined) return;
    const nothing = this.message.rows.length === 0;
    this.canvas.hidden = nothing;
    this.values.hidden = nothing;
    this.empty.hidden = !nothing;
    write(this.empty, this.panel.fieldConfig.defaults.noValue ?? "Nothing");
    if (nothing) this.legend.replaceChildren();
    else this.show();
  }

  /** Sets the chart's options, with what all of them have in common. */
  set(options) {
    this.chart.setOption(
      {
        animationDuration: 0,
        animationDurationUpdate: 350,
        animationEasingUpdate: "cubicOut",
        textStyle: { fontFamily: getComputedStyle(document.body).fontFamily },
        ...options,
        animation: Boolean(options.animation) && !still.matches,
      },
      { replaceMerge: ["series"] },
    );
  }

  /** A legend of what can be hidden: buttons, so that keys reach them. */
  showLegend(lines, colours) {
    const { showLegend, placement } = this.panel.options.legend;
    this.legend.parentElement.classList.toggle("legend-right", placement === "right");
    const key = JSON.stringify([lines.map(({ label }) => label), colours]);
    this.legend.hidden = !showLegend;
    if (!showLegend || key === this.legendKey) return;
    this.legendKey = key;
    this.legend.replaceChildren(
      ...lines.map(({ name, label }, at) => {
        const swatch = element("i");
        swatch.style.backgroundColor = colours[at];
        const button = element("button", { type: "button" }, swatch, label);
        button.setAttribute("aria-pressed", String(!this.hidden.has(name)));
        button.addEventListener("click", () => {
          if (!this.hidden.delete(name)) this.hidden.add(name);
          button.setAttribute("aria-pressed", String(!this.hidden.has(name)));
          this.paint();
        });
        return element("li", {}, button);
      }),
    );
  }

  /** The values as text, for those who don't see the chart or want figures. */
  showValues(columns, rows) {
    fill(this.head, [columns], write);
    fill(this.rows, rows.slice(0, ROWS), write);
  }

  tooltip() {
    return {
      trigger: "axis",
      confine: true,
      transitionDuration: 0,
      backgroundColor: token("raised"),
      borderColor: token("line-strong"),
      borderWidth: 1,
      padding: 10,
      className: "tooltip",
      textStyle: { color: token("text"), fontSize: 12.5 },
      extraCssText: "",
    };
  }

  axisText() {
    return { color: token("muted"), fontSize: 11.5, hideOverlap: true };
  }
}

/** A tooltip's content: a heading, and a line an entry. */
export function tip(heading, entries) {
  const lines = entries.map(({ label, text, colour }) => {
    const swatch = element("i");
    swatch.style.backgroundColor = colour;
    return element("tr", {}, element("td", {}, swatch, label), element("td", { className: "number" }, text));
  });
  return element("div", {}, element("p", {}, heading), element("table", {}, ...lines));
}
