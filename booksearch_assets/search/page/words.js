// The words of the page that depend on what is searched. The rest stands in index.html.

import { wording } from "./catalogue.js";
import { at, make } from "./dom.js";

const TEMPLATES = { cover: "a book cover of …", photo: "a photo of …", illustration: "an illustration of …" };
const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);

document.documentElement.dataset.image = wording.image;
document.documentElement.style.setProperty("--shape", wording.shape);
document.querySelector('meta[name="description"]').content = `Find ${wording.items} by ${wording.finds}.`;
at("ask").ariaLabel = capital(wording.items);
at("grid").ariaLabel = capital(wording.items);
at("motto").textContent = wording.motto;
at("label").textContent = wording.label;
at("q").placeholder = wording.placeholder;
at("examples").append(...wording.examples.map((text) =>
  make("a", { href: `?${new URLSearchParams({ q: text })}`, textContent: text })));
at("template").append(...wording.templates.map((value) => make("option", { value, textContent: TEMPLATES[value] })));
at("item-link").prepend(wording.source);
