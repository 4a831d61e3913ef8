/** The stream of values: open while the page is visible, and reopened when it breaks. */

/** Milliseconds without a message after which the stream counts as broken. */
const SILENCE = 10_000;

/** Milliseconds before each retry, ±20 % so that browsers don't all retry at once. */
const PAUSES = [300, 1000, 2000, 4000];

export class Connection extends EventTarget {
  constructor(address) {
    super();
    this.address = address;
    this.wanted = true;
    this.failures = 0;
    this.heard = performance.now();
    document.addEventListener("visibilitychange", () => this.adapt());
    addEventListener("pagehide", () => this.close());
    addEventListener("pageshow", () => this.adapt());
    setInterval(() => this.check(), 1000);
  }

  /** Opens the stream if it is wanted and the page is visible, else closes it. */
  adapt() {
    if (this.wanted && !document.hidden) this.open();
    else this.close();
  }

  /** Switches to another address. */
  move(address) {
    this.address = address;
    this.close();
    this.adapt();
  }

  open() {
    if (this.source !== undefined) return;
    clearTimeout(this.again);
    this.say("connecting");
    this.heard = performance.now();
    const source = new EventSource(this.address);
    this.source = source;
    source.onopen = () => {
      this.failures = 0;
      this.say("open");
    };
    source.onerror = () => this.retry();
    for (const name of ["panel", "pulse", "beat"]) {
      source.addEventListener(name, ({ data }) => {
        this.heard = performance.now();
        this.dispatchEvent(new CustomEvent(name, { detail: JSON.parse(data) }));
      });
    }
  }

  close() {
    clearTimeout(this.again);
    this.source?.close();
    this.source = undefined;
  }

  retry() {
    this.close();
    this.say("lost");
    const pause = PAUSES[Math.min(this.failures++, PAUSES.length - 1)];
    this.again = setTimeout(() => this.adapt(), pause * (0.8 + 0.4 * Math.random()));
  }

  check() {
    if (this.source !== undefined && performance.now() - this.heard > SILENCE) this.retry();
  }

  say(state) {
    this.dispatchEvent(new CustomEvent("state", { detail: state }));
  }
}
