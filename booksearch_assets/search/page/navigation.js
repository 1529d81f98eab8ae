// Where the reader is: the state in the address, the item in its fragment, and going from one place to another.

import { readState, writeState } from "./state.js";

const listeners = [];
let place = here();

/** The present place: `{state, opened}`, the key of the opened item or "". */
export const current = () => place;

/** Call `listener(place, before)` at every move. A state that stays the same stays the same object. */
export const onMove = (listener) => listeners.push(listener);

/** Go to a state, on the page's own history. */
export function go(state) {
  const address = writeState(state);
  if (address !== writeState(place.state)) history.pushState(null, "", address || location.pathname);
  moved();
}

/** Close the opened item: back to where it was opened, or, for whoever came by its address, to the search behind it. */
export function closeItem() {
  if (!place.opened) return;
  if (history.state?.opened) {
    history.back();
  } else {
    history.replaceState(null, "", writeState(place.state) || location.pathname);
    moved();
  }
}

/** A fragment that somebody cut may be no text. */
function decoded(fragment) {
  try {
    return decodeURIComponent(fragment);
  } catch {
    return "";
  }
}

function here() {
  return Object.freeze({ state: readState(), opened: decoded(location.hash.slice(1)) });
}

function moved() {
  const before = place;
  const { state, opened } = here();
  place = Object.freeze({ state: writeState(state) === writeState(before.state) ? before.state : state, opened });
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
