// The grid of pictures: cards, the skeletons that stand in for them, and arrows that move between them.

import { pictureAddress } from "./api.js";
import { catalogue, keyOf, sourceAddress, wording } from "./catalogue.js";
import { at, make } from "./dom.js";
import { asking, languageName, writeState } from "./state.js";

const WIDTH = 200;
const grid = at("grid");

/** Add the cards of these items. `best` is the highest score of the search, to which bars are relative. */
export function addCards(items, state, best) {
  removeSkeletons();
  grid.append(...items.map((item) => card(item, state, best)));
}

export function addSkeletons(count) {
  const blank = at("card").content.firstElementChild;
  grid.append(...Array.from({ length: count }, () => {
    const skeleton = blank.cloneNode(true);
    skeleton.classList.add("waiting");
    skeleton.ariaHidden = "true";
    skeleton.querySelector(".stage img").remove();
    skeleton.querySelectorAll(".match, .ways").forEach((part) => part.remove());
    return skeleton;
  }));
  grid.ariaBusy = "true";
}

export function removeSkeletons() {
  grid.querySelectorAll(".waiting").forEach((skeleton) => skeleton.remove());
  grid.ariaBusy = "false";
}

export const clearGrid = () => grid.replaceChildren();

/** The links of the pictures shown, in order. */
export const itemLinks = () => [...grid.querySelectorAll(".card:not(.waiting) .item")];

/** Show a picture in a jacket of its own shape; where there is none, the title. */
export function dress(jacket, item, width) {
  const image = jacket.querySelector("img");
  jacket.classList.remove("lost", "wide");
  jacket.dataset.title = item.title || "Untitled";
  image.onload = () => {
    const ratio = image.naturalWidth / image.naturalHeight;
    jacket.style.aspectRatio = ratio;
    jacket.classList.toggle("wide", ratio > wording.shape);
  };
  image.onerror = () => jacket.classList.add("lost");
  image.src = pictureAddress(item, width);
}

/** Who made it, what else is told of it, and how many copies it has. */
export function byline(item, more) {
  const [maker, ...others] = wording.byline;
  const copies = more ? `${more} more ${more === 1 ? wording.copy : wording.copies}` : "";
  const facts = [...others.map((fact) => told(fact, item).join(", ")), copies].filter(Boolean).join(" · ");
  return [make("span", { className: "who", textContent: told(maker, item).join(", ") || wording.unknown }), facts];
}

/** The values of a fact of an item in words, none where the item has none. */
export function told({ attribute, unit, is_language: isLanguage }, item) {
  const values = [item[attribute]].flat().filter(Boolean);
  return values.map((value) => (isLanguage ? languageName(value) : unit ? `${value} ${unit}` : String(value)));
}

function card(item, state, best) {
  const element = at("card").content.firstElementChild.cloneNode(true);
  const link = element.querySelector(".item");
  link.href = `${writeState(state)}#${encodeURIComponent(keyOf(item))}`;
  link.dataset.key = keyOf(item);
  element.querySelector(".title").textContent = item.title || "Untitled";
  element.querySelector(".byline").append(...byline(item, item[catalogue.more]));
  dress(element.querySelector(".jacket"), item, WIDTH);
  showMatch(element.querySelector(".match"), item, best);

  const similar = element.querySelector(".similar");
  similar.href = writeState(asking(state, { like: keyOf(item) }));
  similar.setAttribute("aria-label", `More like ${item.title || "this"}`);
  const outside = element.querySelector(".outside");
  outside.href = sourceAddress(item);
  outside.title = wording.source;
  outside.setAttribute("aria-label", `${item.title || "Untitled"} at ${wording.source}, in a new tab`);
  return element;
}

/** Scores mean nothing across searches, so a bar tells how near a picture is beside the nearest of this search. */
function showMatch(bar, item, best) {
  if (item.score === null || !(best > 0)) {
    bar.hidden = true;
    return;
  }
  const share = Math.round(100 * Math.min(1, Math.max(0, item.score / best)));
  bar.style.setProperty("--share", `${share}%`);
  bar.title = "How near this picture is, beside the nearest of this search";
  bar.firstElementChild.textContent = `${share} % as near as the nearest ${wording.image}`;
}

grid.addEventListener("keydown", (event) => {
  const links = itemLinks();
  const here = links.indexOf(event.target.closest(".card")?.querySelector(".item"));
  if (here < 0 || event.ctrlKey || event.metaKey || event.altKey) return;
  const row = columns(links);
  const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -row, ArrowDown: row, Home: -here, End: links.length - 1 - here };
  const next = links[here + steps[event.key]];
  if (!next) return;
  event.preventDefault();
  next.focus();
});

const columns = (links) => {
  const top = links[0].offsetTop;
  const second = links.findIndex((link) => link.offsetTop > top);
  return second < 0 ? links.length : second;
};
