// One book, opened over the results.

import { item, openLibraryAddress, Problem } from "./api.js";
import { announce, at, make } from "./dom.js";
import { byline, dress } from "./grid.js";
import { closeBook } from "./navigation.js";
import { seenBook } from "./shelf.js";
import { asking, languageName, withChanges, writeState } from "./state.js";

const COVER_WIDTH = 400;
const SUBJECTS = 12;
const dialog = at("book");
let opened = "";

/** Open the book of this key, or close what is open for "". */
export async function showBook(key, state) {
  opened = key;
  if (!key) {
    dialog.close();
    return;
  }
  const seen = seenBook(key);
  if (seen) open(seen, seen.more_editions ?? 0, state);
  try {
    const { book, other_editions: others } = await item(key);
    if (opened === key) open(book, others.length, state);
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    if (opened !== key || seen) return;
    announce(`${problem.title}. ${problem.detail}`);
    closeBook();
  }
}

function open(book, more, state) {
  at("book-title").textContent = book.title || "Untitled";
  at("book-byline").replaceChildren(...byline(book, more), make("br"), facts(book));
  dress(dialog.querySelector(".jacket"), book, COVER_WIDTH);
  at("book-subjects").replaceChildren(...book.subjects.slice(0, SUBJECTS).map((subject) =>
    make("li", {}, make("a", { href: writeState(withChanges(state, { subject })), textContent: subject }))));
  at("book-similar").href = writeState(asking(state, { like: book.edition_key }));
  at("book-link").href = openLibraryAddress(book.edition_key);
  if (!dialog.open) dialog.showModal();
}

const facts = (book) => [book.pages && `${book.pages} pages`, ...book.languages.map(languageName)].filter(Boolean).join(" · ");

dialog.addEventListener("close", () => { if (opened) closeBook(); });
// A click on the backdrop is one on the dialog itself, outside its content.
dialog.addEventListener("click", (event) => {
  const box = dialog.getBoundingClientRect();
  const inside = event.clientX >= box.left && event.clientX <= box.right && event.clientY >= box.top && event.clientY <= box.bottom;
  if (event.target === dialog && !inside) dialog.close();
});
