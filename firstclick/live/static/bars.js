/** A bar chart panel: a group of bars a row. */

import { Chart, tip } from "./chart.js";
import { faded } from "./colours.js";
import { short } from "./format.js";
import { coloursOf, fields } from "./frame.js";
import { token } from "./theme.js";

/** Below this width of a group, upright bars lie down: their names need room. */
const UPRIGHT = 56;

const pen = document.createElement("canvas").getContext("2d");

export class Bars extends Chart {
  show() {
    const { fieldConfig, options } = this.panel;
    const all = fields(this.message, fieldConfig);
    const names = all.find(({ name }) => name === options.xField);
    const bars = all.filter((field) => field !== names && field.kind === "number");
    const colours = coloursOf(bars);
    this.showLegend(bars, colours);
    this.showValues(
      [names, ...bars].map(({ label }) => label),
      names.values.map((name, at) => [names.text(name), ...bars.map((bar) => bar.text(bar.values[at]))]),
    );
    const shown = bars.map((bar, at) => ({ bar, colour: colours[at] })).filter(({ bar }) => !this.hidden.has(bar.name));
    const lying = options.orientation === "horizontal" || this.canvas.clientWidth / names.values.length < UPRIGHT;
    const thickness = this.thickness(names.values.length, shown.length, lying);
    const labels = names.values.map((value) => cut(names.text(value), options.xTickLabelMaxLength));
    const category = {
      type: "category",
      data: labels,
      inverse: lying,
      axisLabel: { ...this.axisText(), color: token("text"), fontSize: 12, interval: 0, hideOverlap: false },
      axisLine: { show: !lying, lineStyle: { color: token("line-strong") } },
      axisTick: { show: false },
      axisPointer: { type: "shadow", shadowStyle: { color: token("hover") } },
    };
    const { min, max, unit } = fieldConfig.defaults;
    const value = {
      type: "value",
      min,
      // Lying bars may take all the room that their values leave
      max: max ?? (lying ? "dataMax" : undefined),
      axisLabel: { ...this.axisText(), formatter: (number) => short(number, unit), showMaxLabel: !lying },
      splitLine: { lineStyle: { color: token("line") }, showMaxLine: !lying },
      splitNumber: Math.max(2, Math.floor(lying ? this.canvas.clientWidth / 130 : this.canvas.clientHeight / 60)),
    };
    const label = this.label(shown, lying, thickness);
    this.set({
      animation: this.isFar(shown),
      grid: {
        left: 4,
        right: lying ? label.room : 6,
        top: lying ? 2 : 22,
        bottom: 2,
        outerBoundsMode: "same",
        outerBoundsContain: "axisLabel",
      },
      xAxis: lying ? value : category,
      yAxis: lying ? category : value,
      tooltip: {
        ...this.tooltip(),
        formatter: ([{ dataIndex }]) => tip(names.text(names.values[dataIndex]), entries(shown, dataIndex)),
      },
      series: shown.map(({ bar, colour }) => this.drawn(bar, colour, lying, thickness, label)),
    });
  }

  /** Whether any bar moves by more than a step too small to see: that costs frames. */
  isFar(shown) {
    const now = shown.flatMap(({ bar }) => bar.values);
    const before = this.last ?? [];
    this.last = now;
    const largest = Math.max(...now);
    return now.some((value, at) => Math.abs(value - (before[at] ?? 0)) > largest / 100);
  }

  /** How thick a bar is, in px. */
  thickness(groups, bars, lying) {
    const { groupWidth, barWidth, stacking } = this.panel.options;
    const length = lying ? this.canvas.clientHeight - 24 : this.canvas.clientWidth - 48;
    const beside = stacking === "normal" ? 1 : Math.max(bars, 1);
    return Math.min((length / groups) * groupWidth / beside * barWidth, lying ? 34 : 96);
  }

  /** Whether the values fit beside the bars: in full, short, or not. */
  label(shown, lying, thickness) {
    const { showValue } = this.panel.options;
    pen.font = `12px ${getComputedStyle(document.body).fontFamily}`;
    const widest = (text) =>
      Math.max(0, ...shown.flatMap(({ bar }) => bar.values.map((value) => pen.measureText(text(bar, value)).width)));
    const full = (bar, value) => bar.text(value);
    const brief = (bar, value) => short(value ?? 0, bar.unit);
    if (showValue === "never") return { show: false, room: 12 };
    if (lying) return { show: showValue === "always" || thickness >= 11, text: full, room: widest(full) + 14 };
    const text = widest(full) <= thickness + 6 ? full : brief;
    return { show: showValue === "always" || widest(text) <= thickness + 14, text, room: 12 };
  }

  drawn(bar, colour, lying, thickness, { show, text }) {
    const { barRadius, barWidth, groupWidth, stacking } = this.panel.options;
    const { fillOpacity, lineWidth } = bar.config.custom;
    const round = Math.max(2, barRadius * thickness);
    return {
      id: bar.name,
      name: bar.label,
      type: "bar",
      data: bar.values,
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
        formatter: ({ dataIndex }) => text(bar, bar.values[dataIndex]),
      },
    };
  }
}

function entries(shown, at) {
  return shown.map(({ bar, colour }) => ({ label: bar.label, text: bar.text(bar.values[at]), colour }));
}

function cut(text, length) {
  return text.length > length ? `${text.slice(0, length - 1)}…` : text;
}
