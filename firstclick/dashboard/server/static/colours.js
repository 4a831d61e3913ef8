/** Colours for series that have none, and readable variants of any colour. */

import { token } from "./theme.js";

/** After Okabe and Ito: colour-blind readers can tell these apart. */
const PALETTE = [
  "#3D9BD4", "#C48800", "#009E73", "#CC79A7", "#8E63B8",
  "#D55E00", "#0072B2", "#808080", "#6A6FCF", "#A07850",
];

/**
 * Returns a colour for each name. A name has the same colour whatever else is shown, unless
 * another name has taken it.
 */
export function palette(names) {
  const taken = new Set();
  const chosen = new Map();
  for (const name of [...names].sort()) {
    let at = hash(name) % PALETTE.length;
    for (let tries = 0; taken.has(at) && tries < PALETTE.length; tries++) {
      at = (at + 1) % PALETTE.length;
    }
    taken.add(at);
    chosen.set(name, PALETTE[at]);
  }
  return chosen;
}

function hash(text) {
  let value = 0;
  for (const character of text) value = (value * 31 + character.codePointAt(0)) >>> 0;
  return value;
}

/** Returns the colour, mixed with black or white until its contrast on a panel suffices. */
export function readable(colour, contrast) {
  const ground = luminance(parse(token("panel")));
  const towards = ground > 0.5 ? [0, 0, 0] : [255, 255, 255];
  const own = parse(colour);
  for (let share = 0; share < 1; share += 0.04) {
    const mixed = own.map((part, at) => part + (towards[at] - part) * share);
    if (ratio(luminance(mixed), ground) >= contrast) return `rgb(${mixed.map(Math.round)})`;
  }
  return `rgb(${towards})`;
}

/** Returns the colour with an opacity from 0 to 1. */
export function faded(colour, opacity) {
  return `rgba(${parse(colour)},${opacity})`;
}

function parse(colour) {
  return [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));
}

// Relative luminance and contrast ratio as WCAG 2.2 defines them
function luminance(parts) {
  const [red, green, blue] = parts.map((part) => {
    const share = part / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

function ratio(one, other) {
  return (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
}
