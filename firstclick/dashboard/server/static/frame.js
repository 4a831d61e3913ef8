/** Turns a query's result into fields with their configuration. */

import { palette } from "./colours.js";
import { format } from "./format.js";

/**
 * A column of a result: `name`, `label`, `kind`, `values`, and `config`, which is the
 * panel's defaults with the overrides for this name.
 */
export class Field {
  constructor(name, kind, values, fieldConfig) {
    this.name = name;
    this.kind = kind;
    this.values = values;
    this.config = configure(fieldConfig, name);
    this.label = this.config.displayName ?? name;
  }

  /** Returns a value as text. For null, it is the panel's text for a missing value. */
  text(value) {
    if (value === null) return this.config.noValue ?? "";
    return this.mapped(value)?.text ?? format(value, this.unit, this.config.decimals);
  }

  get unit() {
    const { unit } = this.config;
    return unit === "string" && this.kind !== "text" ? "none" : unit;
  }

  /** Returns a value's colour, or undefined if the panel sets none. */
  colour(value) {
    const mapped = this.mapped(value)?.color;
    if (mapped !== undefined) return mapped;
    const { color, thresholds } = this.config;
    if (color?.mode === "fixed") return color.fixedColor;
    if (color?.mode !== "thresholds" || typeof value !== "number") return undefined;
    return thresholds?.steps.findLast((step) => step.value === null || value >= step.value)?.color;
  }

  mapped(value) {
    for (const { options } of this.config.mappings ?? []) {
      if (value !== null && Object.hasOwn(options, value)) return options[value];
    }
    return undefined;
  }
}

function configure({ defaults, overrides }, name) {
  const config = structuredClone(defaults);
  for (const { matcher, properties } of overrides) {
    if (matcher.options !== name) continue;
    for (const { id, value } of properties) {
      const path = id.split(".");
      const last = path.pop();
      let into = config;
      for (const part of path) into = into[part] ??= {};
      into[last] = value;
    }
  }
  return config;
}

/** Returns the fields of a message's columns and rows. */
export function fields({ columns, rows }, fieldConfig) {
  return columns.map(
    ({ name, kind }, at) => new Field(name, kind, rows.map((row) => row[at]), fieldConfig),
  );
}

/**
 * Returns a time series: `times`, and a field for each series with a value or null for
 * each time. A text column named metric names the series, as in Grafana's data source.
 */
export function series(message, fieldConfig) {
  const all = fields(message, fieldConfig);
  const time = all.find(({ kind, name }) => kind === "time" || name === "time");
  const metric = all.find(({ kind }) => kind === "text");
  const numbers = all.filter((field) => field.kind === "number" && field !== time);
  if (metric === undefined) return { times: time?.values ?? [], lines: numbers };
  const times = [...new Set(time.values)];
  const places = new Map(times.map((value, at) => [value, at]));
  const byName = new Map();
  metric.values.forEach((name, row) => {
    if (!byName.has(name)) byName.set(name, new Array(times.length).fill(null));
    byName.get(name)[places.get(time.values[row])] = numbers[0].values[row];
  });
  const names = [...byName.keys()].sort((one, other) => one.localeCompare(other));
  const lines = names.map((name) => new Field(name, "number", byName.get(name), fieldConfig));
  return { times, lines };
}

/** Returns a colour for each field: its fixed one, else one from the palette by name. */
export function coloursOf(lines) {
  const free = lines.filter((line) => line.config.color?.mode === "palette-classic-by-name");
  const found = palette(free.map(({ name }) => name));
  return lines.map((line) => found.get(line.name) ?? line.colour(line.values.at(-1)) ?? "#808080");
}
