// The grid of covers: cards, the skeletons that stand in for them, and arrows that move between them.

import { coverAddress, openLibraryAddress } from "./api.js";
import { at, make } from "./dom.js";
import { asking, writeState } from "./state.js";

const COVER_WIDTH = 200;
const grid = at("grid");

/** Add the cards of these books. `best` is the highest score of the search, to which bars are relative. */
export function addCards(books, state, best) {
  removeSkeletons();
  grid.append(...books.map((book) => card(book, state, best)));
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

/** The links of the covers shown, in order. */
export const coverLinks = () => [...grid.querySelectorAll(".card:not(.waiting) .book")];

/** Show a cover in a jacket of its own shape; where there is none, the title. */
export function dress(jacket, book, width) {
  const image = jacket.querySelector("img");
  jacket.classList.remove("lost", "wide");
  jacket.dataset.title = book.title;
  image.onload = () => {
    const ratio = image.naturalWidth / image.naturalHeight;
    jacket.style.aspectRatio = ratio;
    jacket.classList.toggle("wide", ratio > 2 / 3);
  };
  image.onerror = () => jacket.classList.add("lost");
  image.src = coverAddress(book.cover_id, width);
}

/** Author, year, and how many more editions the book has. */
export function byline(book, more) {
  const facts = [book.year, more && `${more} more edition${more === 1 ? "" : "s"}`].filter(Boolean).join(" · ");
  return [make("span", { className: "who", textContent: book.authors.join(", ") || "Unknown author" }), facts];
}

function card(book, state, best) {
  const element = at("card").content.firstElementChild.cloneNode(true);
  const link = element.querySelector(".book");
  link.href = `${writeState(state)}#${book.edition_key}`;
  link.dataset.key = book.edition_key;
  element.querySelector(".title").textContent = book.title || "Untitled";
  element.querySelector(".byline").append(...byline(book, book.more_editions));
  dress(element.querySelector(".jacket"), book, COVER_WIDTH);
  showMatch(element.querySelector(".match"), book, best);

  const similar = element.querySelector(".similar");
  similar.href = writeState(asking(state, { like: book.edition_key }));
  similar.setAttribute("aria-label", `More like ${book.title}`);
  const outside = element.querySelector(".outside");
  outside.href = openLibraryAddress(book.edition_key);
  outside.setAttribute("aria-label", `${book.title} at Open Library, in a new tab`);
  return element;
}

/** Scores mean nothing across searches, so a bar tells how near a cover is beside the nearest of this search. */
function showMatch(bar, book, best) {
  if (book.score === null || !(best > 0)) {
    bar.hidden = true;
    return;
  }
  const share = Math.round(100 * Math.min(1, Math.max(0, book.score / best)));
  bar.style.setProperty("--share", `${share}%`);
  bar.title = "How near this cover is, beside the nearest of this search";
  bar.firstElementChild.textContent = `${share} % as near as the nearest cover`;
}

grid.addEventListener("keydown", (event) => {
  const links = coverLinks();
  const here = links.indexOf(event.target.closest(".card")?.querySelector(".book"));
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
