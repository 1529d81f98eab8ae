// Reaching the elements of index.html, and making few new ones.

/** The element of this id. */
export const at = (id) => document.getElementById(id);

/** A new element with properties and children; text is never read as HTML. */
export function make(name, properties = {}, ...children) {
  const element = Object.assign(document.createElement(name), properties);
  element.append(...children);
  return element;
}

/** Say something to those who listen to the page. Said again even when it is the same as before. */
export function announce(text) {
  const live = at("live");
  live.textContent = "";
  requestAnimationFrame(() => { live.textContent = text; });
}
