/** The time that lines cover: so long, up to the server's now. */

let seconds = 3600;
let ahead = 0;

/** How long it is from now on. */
export function setLength(value) {
  seconds = value;
}

/** Takes in what the server's clock shows, in ms. */
export function setClock(now) {
  ahead = now - Date.now();
}

export function range() {
  const now = Date.now() + ahead;
  return [now - seconds * 1000, now];
}
