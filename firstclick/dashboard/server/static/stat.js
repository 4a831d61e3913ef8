/** A stat panel: one large value, and its change from the first value of its column. */

import { readable } from "./colours.js";
import { element, write } from "./elements.js";
import { percent, span } from "./format.js";
import { fields } from "./frame.js";

const LARGE = 3; // WCAG's minimum contrast for large text
const SMALL = 4.5;

/** The numbers on the page, and the length of each in characters. */
const numbers = new Map();

export class Stat {
  constructor(body, panel) {
    this.panel = panel;
    this.value = element("p", { className: "value" }, "–");
    this.change = element("p", { className: "change", hidden: true });
    this.arrow = element("span", { className: "arrow", ariaHidden: "true" });
    this.share = element("span", { className: "share" });
    this.against = element("span", { className: "against" });
    this.change.append(this.arrow, this.share, " ", this.against);
    body.append(this.value, this.change);
  }

  draw(message) {
    const { fieldConfig, options } = this.panel;
    const all = fields(message, fieldConfig);
    const shown = choose(all, options.reduceOptions.fields);
    const known = shown?.values.filter((value) => value !== null) ?? [];
    const value = known.at(-1) ?? null;
    const text = shown?.text(value) ?? fieldConfig.defaults.noValue ?? "–";
    write(this.value, text);
    this.fit(text, value === null || typeof value === "string");
    const isColoured = options.colorMode === "value" && value !== null;
    const colour = isColoured ? shown.colour(value) : undefined;
    this.value.style.color = colour === undefined ? "" : readable(colour, LARGE);
    const times = all.find(({ kind }) => kind === "time")?.values ?? [];
    this.compare(options.showPercentChange ? known : [], times);
  }

  /** Gives all numbers the size that the longest one allows, so that none stands out. */
  fit(text, isWords) {
    this.value.classList.toggle("words", isWords);
    this.value.style.setProperty("--length", text.length);
    if (isWords) numbers.delete(this);
    else numbers.set(this, text.length);
    const longest = Math.max(...numbers.values());
    for (const { value } of numbers.keys()) value.style.setProperty("--length", longest);
  }

  compare(known, times) {
    const [first, last] = [known[0], known.at(-1)];
    this.change.hidden = known.length < 2 || first === 0 || times.length < 2;
    if (this.change.hidden) return;
    const share = (last - first) / Math.abs(first);
    const size = percent(share);
    const before = `the ${span(times.at(-1) - times[0])} before`;
    const isSame = size === percent(0);
    const isMore = share > 0;
    write(this.arrow, isSame ? "＝" : isMore ? "▲" : "▼");
    write(this.share, isSame ? "unchanged" : size);
    write(this.against, `${isSame ? "from" : isMore ? "above" : "below"} ${before}`);
    const isGood = isMore === (this.panel.options.percentChangeColorMode === "standard");
    const colour = isSame ? "" : readable(isGood ? "#009E73" : "#D55E00", SMALL);
    this.share.style.color = colour;
    this.arrow.style.color = colour;
  }
}

/** Returns the field to show: the one whose name matches, else the first number. */
function choose(all, pattern) {
  const match = /^\/(.*)\/$/.exec(pattern);
  if (match) return all.find(({ name }) => new RegExp(match[1]).test(name));
  return all.find(({ kind }) => kind === "number");
}
