// From a state to what is shown for it: searching, paging on, and coming back to what was found before.

import { Problem, search } from "./api.js";
import { announce, at, make, plural } from "./dom.js";
import { addCards, addSkeletons, clearGrid, coverLinks, removeSkeletons } from "./grid.js";
import { clearNotice, showNothingFound, showProblem } from "./notices.js";
import { bookOf, remember } from "./shelf.js";
import { asksSomething, filtersInUse, inWords, withChanges, writeState } from "./state.js";

const EXAMPLE = document.querySelector(".examples a").textContent;
const SKELETONS = 18;
const KEPT = 30;

const kept = new Map(); // address -> what was found there, for the way back
let shown = null;
let loading = null;

/** Show what `state` finds. Coming back, what was found before, where the reader had scrolled to. */
export async function showResults(state, { again = false } = {}) {
  leave();
  const focused = document.activeElement;
  const address = writeState(state);
  const found = again ? undefined : kept.get(address);
  shown = found ?? { address, state, books: [], cursor: null, scroll: 0, complete: false };
  clearNotice();
  clearGrid();
  showSummary();
  if (found) {
    addCards(found.books, state, bestScore());
    showEnd();
    requestAnimationFrame(() => scrollTo(0, found.scroll));
  } else {
    scrollTo(0, 0);
    await loadPage();
  }
  // What had the focus may be gone, such as the link that was followed.
  if (!focused.isConnected && document.activeElement === document.body) at("heading").focus({ preventScroll: true });
}

/** Note where the reader is in the results, before other ones take their place. */
function leave() {
  loading?.abort();
  if (!shown?.books.length) return;
  kept.delete(shown.address);
  kept.set(shown.address, { ...shown, scroll: scrollY });
  if (kept.size > KEPT) kept.delete(kept.keys().next().value);
}

async function loadPage() {
  const page = shown;
  const atHome = !asksSomething(page.state);
  loading = new AbortController();
  const { signal } = loading;
  at("more").hidden = true;
  clearNotice();
  addSkeletons(page.books.length ? 6 : SKELETONS);
  try {
    const asked = atHome ? withChanges(page.state, { q: EXAMPLE }) : page.state;
    const answer = await search(asked, page.cursor, signal);
    if (page !== shown) return false;
    remember(answer.books);
    page.books.push(...answer.books);
    Object.assign(page, { cursor: atHome ? null : answer.cursor, collection: answer.collection, model: answer.model });
    addCards(answer.books, page.state, bestScore());
    showSummary();
    showEnd();
    sayFound(answer.books.length);
    return true;
  } catch (problem) {
    if (problem.name === "AbortError" || page !== shown) return false;
    removeSkeletons();
    if (!(problem instanceof Problem)) throw problem;
    const stale = problem.kind === "stale-cursor";
    showProblem(problem, page.state, stale ? () => showResults(page.state, { again: true }) : loadPage);
    return false;
  }
}

const bestScore = () => Math.max(0, ...shown.books.map((book) => book.score ?? 0));

function showSummary() {
  const { state, collection, model } = shown;
  const home = !asksSomething(state);
  document.documentElement.classList.toggle("at-home", home);
  showHeading(state, home);
  at("source").textContent = collection ? `${model} · ${collection}` : "";
  at("active").replaceChildren(
    ...filtersInUse(state).map(({ words, without }) =>
      make("li", {}, make("a", { href: writeState(without) || "./", textContent: words, ariaLabel: `Remove the filter ${words}` }))),
  );
}

async function showHeading(state, home) {
  const say = (words) => {
    at("heading").textContent = words;
    document.title = home ? "Booksearch" : `${words} – Booksearch`;
  };
  say(home ? `For example, ${EXAMPLE}` : inWords(state));
  if (!state.like) return;
  const book = await bookOf(state.like).catch(() => null);
  if (book && shown.state === state) say(inWords(state, book.title));
}

/** What stands below the last card: the way to more, the end, or that nothing was found. */
function showEnd() {
  const { state, books, cursor } = shown;
  at("more").hidden = !cursor;
  at("end").hidden = Boolean(cursor) || !books.length || !asksSomething(state);
  at("end").textContent = `That is all: ${plural(books.length, "book")}.`;
  if (!books.length && !cursor) showNothingFound(state);
  // An observer only tells of changes, and after a short page the button may still be in sight.
  nearTheEnd.unobserve(at("more"));
  nearTheEnd.observe(at("more"));
}

function sayFound(added) {
  const { state, books, cursor } = shown;
  const what = asksSomething(state) ? at("heading").textContent : EXAMPLE;
  const all = books.length > added ? `${plural(added, "more book")}, ${books.length} in all` : `${plural(added, "book")} for ${what}`;
  announce(added ? `${all}${cursor ? ", and more below" : ""}` : `No books for ${what}`);
}

const nearTheEnd = new IntersectionObserver(
  ([entry]) => { if (entry.isIntersecting && shown?.cursor) loadPage(); },
  { rootMargin: "0px 0px 900px" },
);

at("more").addEventListener("click", async () => {
  const before = coverLinks().length;
  if (await loadPage()) coverLinks()[before]?.focus();
});
