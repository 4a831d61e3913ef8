/** Formats values by Grafana's units. */

const formats = new Map();

function number(value, options) {
  const key = JSON.stringify(options);
  if (!formats.has(key)) formats.set(key, new Intl.NumberFormat(undefined, options));
  return formats.get(key).format(value);
}

function plain(value, decimals, grouping = true) {
  const digits = decimals ?? usefulDecimals(value);
  return number(value, {
    minimumFractionDigits: decimals ?? 0,
    maximumFractionDigits: digits,
    useGrouping: grouping,
  });
}

function usefulDecimals(value) {
  if (Number.isInteger(value)) return 0;
  return Math.min(Math.max(2 - Math.floor(Math.log10(Math.abs(value))), 0), 6);
}

function scaled(value, decimals, steps) {
  const [factor, unit] = steps.find(([factor]) => Math.abs(value) >= factor) ?? steps.at(-1);
  return `${plain(value / factor, decimals ?? 1)} ${unit}`;
}

const BYTES = [
  [2 ** 50, "PiB"],
  [2 ** 40, "TiB"],
  [2 ** 30, "GiB"],
  [2 ** 20, "MiB"],
  [2 ** 10, "KiB"],
  [1, "B"],
];

const SECONDS = [
  [604800, "weeks"],
  [86400, "days"],
  [3600, "hours"],
  [60, "min"],
  [1, "s"],
  [0.001, "ms"],
];

const pad = (value) => String(value).padStart(2, "0");

const UNITS = {
  none: (value, decimals) => plain(value, decimals, false),
  string: (value) => String(value),
  locale: (value, decimals) => plain(value, decimals),
  percentunit: (value, decimals) => `${plain(value * 100, decimals ?? 1)}%`,
  s: (value, decimals) => (value === 0 ? "0 s" : scaled(value, decimals, SECONDS)),
  bytes: (value, decimals) => scaled(value, value < 1024 ? 0 : decimals, BYTES),
  dateTimeAsIso: (value) => `${day(value)} ${clock(value)}`,
};

/** Formats a value by one of Grafana's units. */
export function format(value, unit = "none", decimals = undefined) {
  if (typeof value !== "number") return String(value);
  return UNITS[unit](value, decimals);
}

/** Formats a value in three digits, for an axis or where there is little room. */
export function short(value, unit = "none") {
  if (unit === "locale" || unit === "none") {
    return number(value, { notation: "compact", maximumSignificantDigits: 3 });
  }
  const decimals = unit === "percentunit" ? usefulDecimals(value * 100) : undefined;
  return format(value, unit, decimals);
}

/** Formats a change without its sign, for example `12.3%` for -0.123. */
export function percent(share) {
  const size = Math.abs(share);
  return number(size, { style: "percent", maximumFractionDigits: size < 10 ? 1 : 0 });
}

/** Formats a time in the reader's time zone, for example `18:04:05`. */
export function clock(time) {
  const at = new Date(time);
  return `${pad(at.getHours())}:${pad(at.getMinutes())}:${pad(at.getSeconds())}`;
}

/** Formats a date in the reader's time zone, for example `2026-11-23`. */
export function day(time) {
  const at = new Date(time);
  return `${at.getFullYear()}-${pad(at.getMonth() + 1)}-${pad(at.getDate())}`;
}

/** Formats seconds for reading: `34 s`, `3 min 48 s`, `2 h 5 min`. */
export function age(seconds) {
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${number(Math.floor(whole / 3600))} h ${Math.floor((whole % 3600) / 60)} min`;
}

/** Formats a span for "the … before": `hour`, `6 hours`. */
export function span(milliseconds) {
  const minutes = Math.round(milliseconds / 60000);
  const [count, unit] = minutes % 60 === 0 ? [minutes / 60, "hour"] : [minutes, "minute"];
  return count === 1 ? unit : `${count} ${unit}s`;
}
