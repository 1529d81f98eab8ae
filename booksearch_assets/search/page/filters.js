// The filters beside the grid, and what the collection offers for them.

import { facets, Problem } from "./api.js";
import { at, make, plural } from "./dom.js";
import { current, go } from "./navigation.js";
import { filtersInUse, languageName, readState, withChanges, withoutFilters } from "./state.js";

const AUTHORS = 100;
const SUBJECTS = 12;
const panel = at("filters");
let whole = null; // what the whole collection has

/** Show the filters of a state, and how many are in use. */
export function fillFilters(state) {
  const used = filtersInUse(state).length;
  at("filter-count").textContent = used ? ` (${used})` : "";
  at("clear-filters").hidden = !used;
  if (!panel.hidden) showOffered(state);
}

/** Open or close the panel; what the collection offers is asked for while it is open. */
export function toggleFilters(open) {
  panel.hidden = !open;
  at("show-filters").ariaExpanded = String(open);
  if (open) showOffered(current().state);
}

async function showOffered(state) {
  try {
    if (!whole) {
      whole = await facets(readState(""), AUTHORS);
      showNames(state);
    }
    showYears(state);
    const { subjects } = await facets(withChanges(state, { subject: "" }), SUBJECTS);
    if (current().state === state) showSubjects(subjects, state);
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    at("subjects").replaceChildren(make("li", { textContent: `${problem.title}.` }));
  }
}

function showNames(state) {
  at("authors").replaceChildren(...whole.authors.map(({ value }) => make("option", { value })));
  at("language").append(...whole.languages.map(({ value, count }) =>
    make("option", { value, textContent: `${languageName(value)} (${count.toLocaleString("en")})` })));
  at("language-field").hidden = whole.languages.length < 2;
  at("language").value = state.language;
}

/** How many editions each year has, as bars; those within the filter stand out. */
function showYears({ year_from: from, year_to: to }) {
  const most = Math.max(...whole.years.map(({ count }) => count));
  at("years").replaceChildren(...whole.years.map(({ value, count }) => {
    const bar = make("span", { title: `${value}: ${plural(count, "edition")}` });
    bar.style.setProperty("--share", `${(100 * count) / most}%`);
    bar.className = (!from || Number(value) >= from) && (!to || Number(value) <= to) ? "within" : "";
    return bar;
  }));
}

/** Subjects to choose one of, each with how many editions the other filters leave; a rarer one may be chosen already. */
function showSubjects(subjects, { subject: chosen }) {
  const listed = !chosen || subjects.some(({ value }) => value === chosen) ? subjects : [{ value: chosen }, ...subjects];
  const focused = document.activeElement?.dataset.subject;
  at("subjects").replaceChildren(...listed.map(({ value, count }) => {
    const button = make("button", { type: "button", ariaPressed: String(value === chosen) },
      make("span", { textContent: value }), make("span", { className: "count", textContent: count?.toLocaleString("en") ?? "" }));
    button.dataset.subject = value;
    button.onclick = () => go(withChanges(current().state, { subject: value === chosen ? "" : value }));
    return make("li", {}, button);
  }));
  if (focused) [...at("subjects").querySelectorAll("button")].find(({ dataset }) => dataset.subject === focused)?.focus();
}

at("show-filters").addEventListener("click", () => toggleFilters(panel.hidden));
at("clear-filters").addEventListener("click", () => go(withoutFilters(current().state)));
