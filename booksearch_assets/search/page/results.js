// From a state to what is shown for it: searching, paging on, and coming back to what was found before.

import { Problem, search } from "./api.js";
import { wording } from "./catalogue.js";
import { announce, at, make } from "./dom.js";
import { addCards, addSkeletons, clearGrid, itemLinks, removeSkeletons } from "./grid.js";
import { clearNotice, showNothingFound, showProblem } from "./notices.js";
import { itemOf, remember } from "./shelf.js";
import { asksSomething, filtersInUse, inWords, withChanges, writeState } from "./state.js";

const [EXAMPLE] = wording.examples;
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
  shown = found ?? { address, state, items: [], cursor: null, scroll: 0, complete: false };
  clearNotice();
  clearGrid();
  showSummary();
  if (found) {
    addCards(found.items, state, bestScore());
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
  if (!shown?.items.length) return;
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
  addSkeletons(page.items.length ? 6 : SKELETONS);
  try {
    const asked = atHome ? withChanges(page.state, { q: EXAMPLE }) : page.state;
    const answer = await search(asked, page.cursor, signal);
    if (page !== shown) return false;
    remember(answer.items);
    page.items.push(...answer.items);
    Object.assign(page, { cursor: atHome ? null : answer.cursor, collection: answer.collection, model: answer.model });
    addCards(answer.items, page.state, bestScore());
    showSummary();
    showEnd();
    sayFound(answer.items.length);
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

const bestScore = () => Math.max(0, ...shown.items.map((item) => item.score ?? 0));

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
  const item = await itemOf(state.like).catch(() => null);
  if (item && shown.state === state) say(inWords(state, item.title));
}

/** What stands below the last card: the way to more, the end, or that nothing was found. */
function showEnd() {
  const { state, items, cursor } = shown;
  at("more").hidden = !cursor;
  at("end").hidden = Boolean(cursor) || !items.length || !asksSomething(state);
  at("end").textContent = `That is all: ${counted(items.length)}.`;
  if (!items.length && !cursor) showNothingFound(state);
  // An observer only tells of changes, and after a short page the button may still be in sight.
  nearTheEnd.unobserve(at("more"));
  nearTheEnd.observe(at("more"));
}

function sayFound(added) {
  const { state, items, cursor } = shown;
  const what = asksSomething(state) ? at("heading").textContent : EXAMPLE;
  const all = items.length > added ? `${counted(added, "more ")}, ${items.length} in all` : `${counted(added)} for ${what}`;
  announce(added ? `${all}${cursor ? ", and more below" : ""}` : `No ${wording.items} for ${what}`);
}

const counted = (count, which = "") =>
  `${count.toLocaleString("en")} ${which}${count === 1 ? wording.item : wording.items}`;

const nearTheEnd = new IntersectionObserver(
  ([entry]) => { if (entry.isIntersecting && shown?.cursor) loadPage(); },
  { rootMargin: "0px 0px 900px" },
);

at("more").addEventListener("click", async () => {
  const before = itemLinks().length;
  if (await loadPage()) itemLinks()[before]?.focus();
});
