// Where the reader is: the state in the address, the book in its fragment, and going from one place to another.

import { readState, writeState } from "./state.js";

const listeners = [];
let place = here();

/** The present place: `{state, book}`, the key of the opened book or "". */
export const current = () => place;

/** Call `listener(place, before)` at every move. A state that stays the same stays the same object. */
export const onMove = (listener) => listeners.push(listener);

/** Go to a state, on the page's own history. */
export function go(state) {
  const address = writeState(state);
  if (address !== writeState(place.state)) history.pushState(null, "", address || location.pathname);
  moved();
}

/** Close the opened book: back to where it was opened, or, for whoever came by its address, to the search behind it. */
export function closeBook() {
  if (!place.book) return;
  if (history.state?.opened) {
    history.back();
  } else {
    history.replaceState(null, "", writeState(place.state) || location.pathname);
    moved();
  }
}

function here() {
  return Object.freeze({ state: readState(), book: location.hash.slice(1) });
}

function moved() {
  const before = place;
  const { state, book } = here();
  place = Object.freeze({ state: writeState(state) === writeState(before.state) ? before.state : state, book });
  listeners.forEach((listener) => listener(place, before));
}

// The page restores scrolling itself, after the results are there to scroll in.
history.scrollRestoration = "manual";
addEventListener("popstate", moved);

document.addEventListener("click", (event) => {
  const link = event.target.closest("a[href]");
  const ours = link && !link.target && link.origin === location.origin && link.pathname === location.pathname;
  const plain = event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey && !event.altKey;
  if (!ours || !plain || link.classList.contains("skip")) return;
  event.preventDefault();
  history.pushState(link.hash ? { opened: true } : null, "", link.href);
  moved();
});
