/** The base of bars and lines: ECharts, legend, tooltip, and the values as a table. */

import { element, fill, write } from "./elements.js";
import { token } from "./theme.js";

/** ECharts, or undefined if the browser can't load it. */
const library = import(document.documentElement.dataset.echarts).catch(
  () => undefined,
);
const still = matchMedia("(prefers-reduced-motion: reduce)");

/** The most rows of the table of values, because people read it row by row. */
const ROWS = 240;

export class Chart {
  constructor(body, panel) {
    this.panel = panel;
    this.hidden = new Set();
    this.canvas = element("div", { className: "canvas", role: "img" });
    const hint = "the values are in the table that follows";
    this.canvas.setAttribute("aria-label", `${panel.title}: ${hint}`);
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
  }

  async draw(message) {
    this.message = message;
    const echarts = await library;
    if (echarts === undefined) {
      this.say("The charts can't be loaded: load the page again.");
      return;
    }
    this.chart ??= this.start(echarts);
    this.paint();
  }

  start(echarts) {
    const chart = echarts.init(this.canvas, null, { renderer: "canvas" });
    this.watch(chart);
    return chart;
  }

  /** A hook for subclasses: called once, with the new chart. */
  watch(chart) {}

  resize() {
    if (this.chart === undefined || this.canvas.clientWidth === 0) return;
    this.chart.resize();
    this.paint();
  }

  paint() {
    if (this.chart === undefined) return;
    const isEmpty = this.message.rows.length === 0;
    this.say(isEmpty ? (this.panel.fieldConfig.defaults.noValue ?? "Nothing") : "");
    if (!isEmpty) this.show();
  }

  /** Shows a sentence instead of the chart, or the chart if there is no sentence. */
  say(sentence) {
    write(this.empty, sentence);
    this.empty.hidden = sentence === "";
    for (const part of [this.canvas, this.legend, this.values]) part.hidden = sentence !== "";
  }

  /** Sets the chart's options, in addition to those that all charts share. */
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

  /** Shows a legend, and returns the fields that the reader has not hidden. */
  choose(all, colours) {
    this.showLegend(all, colours);
    return all
      .map((field, at) => ({ field, colour: colours[at] }))
      .filter(({ field }) => !this.hidden.has(field.name));
  }

  showLegend(all, colours) {
    const { showLegend, placement } = this.panel.options.legend;
    this.legend.parentElement.classList.toggle("legend-right", placement === "right");
    this.legend.hidden = !showLegend;
    const key = JSON.stringify([all.map(({ label }) => label), colours]);
    if (key === this.legendKey) return;
    this.legendKey = key;
    this.legend.replaceChildren(
      ...all.map(({ name, label }, at) => this.legendItem(name, label, colours[at])),
    );
  }

  /** Returns a legend entry. It is a button, so that the keyboard reaches it. */
  legendItem(name, label, colour) {
    const swatch = element("i");
    swatch.style.backgroundColor = colour;
    const button = element("button", { type: "button" }, swatch, label);
    button.setAttribute("aria-pressed", String(!this.hidden.has(name)));
    button.addEventListener("click", () => {
      if (!this.hidden.delete(name)) this.hidden.add(name);
      button.setAttribute("aria-pressed", String(!this.hidden.has(name)));
      this.paint();
    });
    return element("li", {}, button);
  }

  /** Shows the values as a table, for readers who can't see the chart or want figures. */
  showValues(columns, rows) {
    fill(this.head, [columns], write);
    fill(this.rows, rows.slice(0, ROWS), write);
  }

  /** Returns a tooltip. Its content is an element, never markup made from values. */
  tooltip(formatter) {
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
      formatter,
    };
  }

  /** Returns the place of the plot: the room that the axes' labels leave. */
  room(top, right) {
    return {
      ...{ left: 4, right, top, bottom: 2 },
      outerBoundsMode: "same",
      outerBoundsContain: "axisLabel",
    };
  }

  axisText() {
    return { color: token("muted"), fontSize: 12, hideOverlap: true };
  }
}

/** Returns a tooltip's content: a heading, and a line for each entry. */
export function tip(heading, entries) {
  const lines = entries.map(({ label, text, colour }) => {
    const swatch = element("i");
    swatch.style.backgroundColor = colour;
    const name = element("td", {}, swatch, label);
    return element("tr", {}, name, element("td", {}, text));
  });
  return element("div", {}, element("p", {}, heading), element("table", {}, ...lines));
}
