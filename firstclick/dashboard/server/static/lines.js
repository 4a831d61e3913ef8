/** A time series panel: a line for each series, or bars. */

import { Chart, tip } from "./chart.js";
import { faded } from "./colours.js";
import { clock, day, short } from "./format.js";
import { coloursOf, series } from "./frame.js";
import { range } from "./range.js";
import { token } from "./theme.js";

const all = new Set();

/** The chart under the pointer. The others show the same time, but no tooltip. */
let pointed;

/** Time passes without new values too, so the axes move every 15 s. */
setInterval(() => all.forEach((lines) => lines.paint()), 15_000);

export class Lines extends Chart {
  watch(chart) {
    all.add(this);
    chart.on("updateAxisPointer", ({ axesInfo }) => this.pointAlike(axesInfo[0]?.value));
    this.canvas.addEventListener("pointerenter", () => (pointed = this));
    this.canvas.addEventListener("pointerleave", () => this.pointAlike(undefined));
  }

  /** Shows the pointer's time in the other panels. */
  pointAlike(time) {
    for (const { chart, times } of all) {
      if (chart === this.chart || times === undefined) continue;
      const away = time === undefined;
      const x = away ? -1 : chart.convertToPixel({ xAxisIndex: 0 }, time);
      const currTrigger = away ? "leave" : "mousemove";
      const action = { type: "updateAxisPointer", currTrigger, x, y: 40 };
      chart.dispatchAction(action, { silent: true });
    }
  }

  show() {
    const { fieldConfig, options } = this.panel;
    const { times, lines } = series(this.message, fieldConfig);
    this.times = times;
    const shown = this.choose(lines, coloursOf(lines));
    this.showValues(
      ["Time", ...lines.map(({ label }) => label)],
      times
        .map((time, at) => [moment(time), ...lines.map((line) => textOf(line, at))])
        .reverse(),
    );
    const { axisSoftMin, axisLabel } = fieldConfig.defaults.custom;
    this.set({
      grid: this.room(axisLabel ? 28 : 10, 10),
      xAxis: this.timeAxis(),
      yAxis: {
        type: "value",
        name: axisLabel,
        min: ({ min }) => Math.min(axisSoftMin ?? min, min),
        axisLabel: {
          ...this.axisText(),
          formatter: (value) => short(value, fieldConfig.defaults.unit),
        },
        splitLine: { lineStyle: { color: token("line") } },
        splitNumber: Math.max(2, Math.floor(this.canvas.clientHeight / 52)),
      },
      tooltip: this.tooltip(([{ axisValue }]) =>
        pointed === this ? this.tip(axisValue, shown, options.tooltip) : "",
      ),
      series: shown.map(({ field, colour }) => drawn(field, colour, times)),
    });
  }

  timeAxis() {
    const [from, to] = range();
    return {
      type: "time",
      min: from,
      max: to,
      minInterval: ((to - from) * 90) / this.canvas.clientWidth,
      axisLabel: { ...this.axisText(), formatter: tick },
      axisLine: { lineStyle: { color: token("line-strong") } },
      axisTick: { show: false },
      splitLine: { show: false },
      axisPointer: {
        lineStyle: { color: token("muted"), type: "solid", width: 1 },
        label: { show: false },
      },
    };
  }

  tip(time, shown, { sort }) {
    const at = this.times.indexOf(time);
    const known = shown
      .map(({ field, colour }) => ({
        label: field.label,
        value: field.values[at] ?? null,
        text: textOf(field, at),
        colour,
      }))
      .filter(({ value }) => value !== null);
    if (sort === "desc") known.sort((one, other) => other.value - one.value);
    return tip(moment(time), known);
  }
}

function textOf(line, at) {
  const value = line.values[at] ?? null;
  return value === null ? "–" : line.text(value);
}

function moment(time) {
  return `${day(time)} ${clock(time).slice(0, 5)}`;
}

function tick(time) {
  const text = clock(time).slice(0, 5);
  if (text !== "00:00") return text;
  return new Date(time).toLocaleDateString(undefined, { month: "short", day: "numeric" });
}

function drawn(line, colour, times) {
  const { drawStyle, stacking } = line.config.custom;
  return {
    id: line.name,
    name: line.label,
    stack: stacking.mode === "normal" ? stacking.group : undefined,
    emphasis: { disabled: true },
    ...(drawStyle === "bars" ? bars(line, colour, times) : path(line, colour, times)),
  };
}

/** ECharts stacks bars by their index, so every series has a value at every time. */
function bars(line, colour, times) {
  return {
    type: "bar",
    data: times.map((time, at) => [time, line.values[at] ?? 0]),
    barMaxWidth: 14,
    itemStyle: { color: faded(colour, line.config.custom.fillOpacity / 100) },
  };
}

function path(line, colour, times) {
  const { lineWidth, fillOpacity, insertNulls } = line.config.custom;
  const area = { origin: "start", color: gradient(colour, fillOpacity / 100) };
  return {
    type: "line",
    data: points(line.values, times, insertNulls),
    symbolSize: 2 * lineWidth + 1,
    lineStyle: { width: lineWidth, color: colour, join: "round" },
    itemStyle: { color: colour },
    areaStyle: fillOpacity === 0 ? undefined : area,
  };
}

/** Returns a gradient, opaque at the top, with this opacity on average. */
function gradient(colour, opacity) {
  const stops = [
    { offset: 0, color: faded(colour, Math.min(1, 2 * opacity)) },
    { offset: 1, color: faded(colour, 0) },
  ];
  return { type: "linear", x: 0, y: 0, x2: 0, y2: 1, colorStops: stops };
}

/** Returns a line's points, with a break where two are too far apart. Single ones are dots. */
function points(values, times, gap) {
  const found = times
    .map((time, at) => [time, values[at] ?? null])
    .filter(([, value]) => value !== null);
  return found.flatMap((point, at) => {
    const before = at > 0 && point[0] - found[at - 1][0] <= gap;
    const after = at < found.length - 1 && found[at + 1][0] - point[0] <= gap;
    const dot = { value: point, symbol: before || after ? "none" : "circle" };
    return before || at === 0 ? [dot] : [{ value: [point[0] - 1, null] }, dot];
  });
}
