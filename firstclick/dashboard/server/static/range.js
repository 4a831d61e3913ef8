/** The time range of lines: it has a length, and ends at the server's now. */

let seconds = 3600;
let ahead = 0;

/** Sets the length, in seconds. */
export function setLength(value) {
  seconds = value;
}

/** Sets the server's clock, in ms since 1970. */
export function setClock(now) {
  ahead = now - Date.now();
}

/** Returns the range's begin and end, in ms since 1970. */
export function range() {
  const now = Date.now() + ahead;
  return [now - seconds * 1000, now];
}
