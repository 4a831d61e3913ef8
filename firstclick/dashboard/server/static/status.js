/** Shows the state of the connection and of the pipeline. */

import { write } from "./elements.js";
import { age, clock } from "./format.js";

const WORDS = {
  connecting: "Connecting",
  reconnecting: "Reconnecting…",
  paused: "Paused",
  live: "Live",
  behind: "Behind",
  stopped: "Stopped",
  away: "No database",
};

export class Status {
  constructor() {
    this.word = document.getElementById("state");
    this.notice = document.getElementById("notice");
    this.connection = "connecting";
    this.paused = false;
    this.pulse = undefined;
    this.told = performance.now();
    setInterval(() => this.show(), 1000);
  }

  /** Notes the state of the stream: `connecting`, `open` or `lost`. */
  connected(state) {
    if (state !== "connecting" || this.connection !== "lost") this.connection = state;
    if (state !== "open") this.left ??= Date.now();
    this.show();
  }

  /** Notes the state of the pipeline, as the server sends it. */
  pulsed(pulse) {
    this.pulse = pulse;
    this.left = undefined;
    this.told = performance.now();
    this.show();
  }

  pause(paused) {
    this.paused = paused;
    this.left = paused ? Date.now() : undefined;
    this.show();
  }

  get state() {
    if (this.paused) return "paused";
    if (this.connection === "lost") return "reconnecting";
    return this.pulse?.state ?? "connecting";
  }

  show() {
    const { state } = this;
    document.documentElement.dataset.state = state;
    write(this.word, WORDS[state]);
    const sentence = this.sentence(state);
    this.notice.hidden = sentence === "";
    write(this.notice, sentence);
  }

  sentence(state) {
    const passed = (performance.now() - this.told) / 1000;
    const old = this.pulse?.age === undefined ? "" : age(this.pulse.age + passed);
    const left = this.left ?? Date.now();
    const since = `What you see is of ${clock(left)}, ${age((Date.now() - left) / 1000)} old.`;
    switch (state) {
      case "paused":
        return since;
      case "reconnecting":
        return `The page's server doesn't answer. ${this.pulse ? since : ""}`.trim();
      case "away":
        return `The database doesn't answer. What you see is ${old} old.`;
      case "stopped":
        if (old === "") return "The pipeline's health can't be read: deploy the models.";
        return `Nothing comes from Kafka. What you see is ${old} old.`;
      case "behind": {
        const lag = (this.pulse.lag ?? 0).toLocaleString();
        return `Catching up: ${lag} messages to go. What you see is ${old} old.`;
      }
      case "live":
        return this.pulse.quiet === undefined ? "" : `No events for ${age(this.pulse.quiet)}.`;
      default:
        return "";
    }
  }
}
