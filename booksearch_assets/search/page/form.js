// The search box: words, a picture in every way that one can be given, and the weight between the two.

import { pictureAddress } from "./api.js";
import { wording } from "./catalogue.js";
import { at, make } from "./dom.js";
import { current, go } from "./navigation.js";
import { drawPicture, isKept, keepPicture, openPicture } from "./pictures.js";
import { itemOf } from "./shelf.js";
import { asking, NAMES, withChanges } from "./state.js";

const THUMB_HEIGHT = 48;
const form = at("ask");
const field = (name) => form.elements[name] ?? at(name);

/** Fill the form with a state. */
export function fillForm(state) {
  for (const name of NAMES) {
    if (field(name)) field(name).value = state[name];
  }
  at("mix").hidden = !(state.q && state.image);
  at("given").hidden = !(state.image || state.like);
  showError("");
  showGiven(state);
  togglePicture(false);
}

/** The state that the form says, of the present one. */
function formState() {
  const said = Object.fromEntries(NAMES.filter((name) => field(name)).map((name) => [name, field(name).value.trim()]));
  return withChanges(current().state, said);
}

async function showGiven(state) {
  const thumb = at("thumb");
  thumb.replaceChildren();
  const show = (content) => { if (current().state === state) thumb.replaceChildren(content); };
  if (state.like) {
    const item = await itemOf(state.like).catch(() => null);
    show(item ? make("img", { src: pictureAddress(item, 100), alt: `the ${wording.image} of ${item.title || "it"}` }) : "?");
  } else if (isKept(state.image)) {
    const picture = await openPicture(state.image);
    if (!picture) return show("?");
    const canvas = await drawPicture(picture, THUMB_HEIGHT);
    canvas.role = "img";
    canvas.ariaLabel = "your picture";
    show(canvas);
  } else if (state.image) {
    show(make("span", { className: "host", textContent: URL.canParse(state.image) ? new URL(state.image).host : "?" }));
  }
}

async function givePicture(file) {
  try {
    const image = await keepPicture(file);
    go(asking(current().state, { q: at("q").value.trim(), image }));
  } catch (error) {
    showError(error.message);
  }
}

function giveAddress(text) {
  const address = text.trim();
  if (URL.canParse(address) && /^https?:$/.test(new URL(address).protocol)) {
    go(asking(current().state, { q: at("q").value.trim(), image: address }));
  } else {
    showError("Give the address of a picture, beginning with https:// or http://.");
  }
}

function showError(text) {
  at("ask-error").textContent = text;
}

function togglePicture(open) {
  at("picture").hidden = !open;
  at("show-picture").ariaExpanded = String(open);
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  go(formState());
});
// Filters and weights act at once; words wait for Enter.
document.addEventListener("change", ({ target }) => {
  if (target.form === form && target.id !== "q" && form.reportValidity()) go(formState());
});

at("drop-given").addEventListener("click", () => {
  go(withChanges(current().state, { image: "", like: "" }));
  at("q").focus();
});
at("show-picture").addEventListener("click", () => {
  togglePicture(at("picture").hidden);
  if (!at("picture").hidden) at("choose").focus();
});
at("choose").addEventListener("click", () => at("file").click());
at("file").addEventListener("change", ({ target }) => {
  if (target.files.length) givePicture(target.files[0]);
  target.value = "";
});
at("use-address").addEventListener("click", () => giveAddress(at("address").value));
at("address").addEventListener("keydown", (event) => {
  if (event.key !== "Enter") return;
  event.preventDefault();
  giveAddress(event.target.value);
});

// A picture of this page that is dragged is no new picture.
let ownDrag = false;
addEventListener("dragstart", () => { ownDrag = true; });
addEventListener("dragend", () => { ownDrag = false; });
const brings = (event) => !ownDrag && event.dataTransfer.types.some((type) => type === "Files" || type === "text/uri-list");
addEventListener("dragover", (event) => {
  if (!brings(event)) return;
  event.preventDefault();
  document.body.classList.add("dropping");
});
addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) document.body.classList.remove("dropping");
});
addEventListener("drop", (event) => {
  if (!brings(event)) return;
  event.preventDefault();
  document.body.classList.remove("dropping");
  const [file] = event.dataTransfer.files;
  if (file) givePicture(file);
  else giveAddress(event.dataTransfer.getData("text/uri-list").split("\n")[0]);
});
addEventListener("paste", (event) => {
  const file = [...event.clipboardData.files].find(({ type }) => type.startsWith("image/"));
  if (!file) return;
  event.preventDefault();
  givePicture(file);
});
