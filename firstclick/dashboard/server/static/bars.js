/** A bar chart panel: a group of bars for each row. */

import { Chart, tip } from "./chart.js";
import { faded } from "./colours.js";
import { short } from "./format.js";
import { coloursOf, fields } from "./frame.js";
import { token } from "./theme.js";

/** If groups are narrower than this, in px, bars are horizontal: names need the room. */
const UPRIGHT = 56;

const pen = document.createElement("canvas").getContext("2d");

export class Bars extends Chart {
  show() {
    const { fieldConfig, options } = this.panel;
    const all = fields(this.message, fieldConfig);
    const names = all.find(({ name }) => name === options.xField);
    const bars = all.filter((field) => field !== names && field.kind === "number");
    const shown = this.choose(bars, coloursOf(bars));
    this.showValues(
      [names, ...bars].map(({ label }) => label),
      names.values.map((name, at) => [
        names.text(name),
        ...bars.map((bar) => bar.text(bar.values[at])),
      ]),
    );
    const groups = names.values.length;
    const lying =
      options.orientation === "horizontal" || this.canvas.clientWidth / groups < UPRIGHT;
    const thickness = this.thickness(groups, shown.length, lying);
    const label = this.label(shown, lying, thickness);
    const category = this.categoryAxis(names, lying);
    const value = this.valueAxis(lying);
    this.set({
      animation: this.isFar(shown),
      grid: this.room(lying ? 2 : 22, lying ? label.room : 6),
      xAxis: lying ? value : category,
      yAxis: lying ? category : value,
      tooltip: this.tooltip(([{ dataIndex }]) =>
        tip(names.text(names.values[dataIndex]), entries(shown, dataIndex)),
      ),
      series: shown.map(({ field, colour }) =>
        this.drawn(field, colour, lying, thickness, label),
      ),
    });
  }

  categoryAxis(names, lying) {
    const { xTickLabelMaxLength } = this.panel.options;
    return {
      type: "category",
      data: names.values.map((value) => cut(names.text(value), xTickLabelMaxLength)),
      inverse: lying,
      axisLabel: { ...this.axisText(), color: token("text"), interval: 0, hideOverlap: false },
      axisLine: { show: !lying, lineStyle: { color: token("line-strong") } },
      axisTick: { show: false },
      axisPointer: { type: "shadow", shadowStyle: { color: token("hover") } },
    };
  }

  valueAxis(lying) {
    const { min, max, unit } = this.panel.fieldConfig.defaults;
    const { clientWidth, clientHeight } = this.canvas;
    return {
      type: "value",
      min,
      // The longest horizontal bar fills the width; by default ECharts rounds the maximum up
      max: max ?? (lying ? "dataMax" : undefined),
      axisLabel: {
        ...this.axisText(),
        formatter: (number) => short(number, unit),
        showMaxLabel: !lying,
      },
      splitLine: { lineStyle: { color: token("line") }, showMaxLine: !lying },
      splitNumber: Math.max(2, Math.floor(lying ? clientWidth / 130 : clientHeight / 60)),
    };
  }

  /** Returns whether a bar moves by over 1 %: less is hardly visible, and costs frames. */
  isFar(shown) {
    const before = this.last ?? [];
    this.last = shown.flatMap(({ field }) => field.values);
    const largest = Math.max(...this.last);
    return this.last.some((value, at) => Math.abs(value - (before[at] ?? 0)) > largest / 100);
  }

  /** Returns a bar's thickness in px. */
  thickness(groups, bars, lying) {
    const { groupWidth, barWidth, stacking } = this.panel.options;
    const length = lying ? this.canvas.clientHeight - 24 : this.canvas.clientWidth - 48;
    const beside = stacking === "normal" ? 1 : Math.max(bars, 1);
    return Math.min((((length / groups) * groupWidth) / beside) * barWidth, lying ? 34 : 96);
  }

  /** Returns how to label the bars: in full, shortened, or not, depending on the room. */
  label(shown, lying, thickness) {
    const { showValue } = this.panel.options;
    if (showValue === "never") return { show: false, room: 12 };
    const always = showValue === "always";
    pen.font = `12px ${getComputedStyle(document.body).fontFamily}`;
    const full = (field, value) => field.text(value);
    const brief = (field, value) => short(value ?? 0, field.unit);
    const widest = (text) =>
      Math.max(
        0,
        ...shown.flatMap(({ field }) =>
          field.values.map((value) => pen.measureText(text(field, value)).width),
        ),
      );
    if (lying) return { show: always || thickness >= 11, text: full, room: widest(full) + 14 };
    const text = widest(full) <= thickness + 6 ? full : brief;
    return { show: always || widest(text) <= thickness + 14, text };
  }

  drawn(field, colour, lying, thickness, { show, text }) {
    const { barRadius, barWidth, groupWidth, stacking } = this.panel.options;
    const { fillOpacity, lineWidth } = field.config.custom;
    const round = Math.max(2, barRadius * thickness);
    return {
      id: field.name,
      name: field.label,
      type: "bar",
      data: field.values,
      stack: stacking === "normal" ? "A" : undefined,
      barWidth: thickness,
      barGap: `${((1 - barWidth) / barWidth) * 100}%`,
      barCategoryGap: `${(1 - groupWidth) * 100}%`,
      itemStyle: {
        color: faded(colour, fillOpacity / 100),
        borderColor: colour,
        borderWidth: lineWidth,
        borderRadius: lying ? [0, round, round, 0] : [round, round, 0, 0],
      },
      emphasis: { itemStyle: { color: colour } },
      label: {
        show,
        position: lying ? "right" : "top",
        distance: 5,
        color: token("muted"),
        fontSize: 12,
        textBorderColor: token("panel"),
        textBorderWidth: 3,
        formatter: ({ dataIndex }) => text(field, field.values[dataIndex]),
      },
    };
  }
}

function entries(shown, at) {
  return shown.map(({ field, colour }) => ({
    label: field.label,
    text: field.text(field.values[at]),
    colour,
  }));
}

function cut(text, length) {
  return text.length > length ? `${text.slice(0, length - 1)}…` : text;
}
