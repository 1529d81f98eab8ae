// The filters beside the grid, made of what the catalogue declares, and what the collection offers for them.

import { facets, Problem } from "./api.js";
import { catalogue, wording } from "./catalogue.js";
import { at, make } from "./dom.js";
import { current, go } from "./navigation.js";
import { bounds, filtersInUse, languageName, readState, withChanges, withoutFilters } from "./state.js";

const NAMES = 100;
const BUTTONS = 12;
const panel = at("filters");
const labels = (control) => catalogue.labels.filter((label) => label.control === control);
let whole = null; // what the whole collection has

at("not-field").after(...catalogue.numbers.map(numberField), ...catalogue.labels.map(labelField));

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

function numberField(number) {
  const [from, to] = bounds(number).map((name, place) => {
    const word = ["from", "to"][place];
    return inForm("input", {
      name, type: "number", inputMode: "numeric", min: 0, max: 99999, placeholder: word,
      ariaLabel: `${word === "from" ? "From" : "To"} ${number.unit}`,
    });
  });
  const pair = make("div", { className: "pair" }, from, make("span", { textContent: "–", ariaHidden: "true" }), to);
  const bars = number.counted ? [make("div", { className: "bars", id: number.filter, ariaHidden: "true" })] : [];
  return make("fieldset", { className: "field" }, make("legend", { textContent: number.caption }), ...bars, pair);
}

function labelField({ filter, column, caption, control }) {
  if (control === "buttons") {
    const section = make("section", { className: "field" },
      make("h3", { id: `${filter}-label`, textContent: caption }), make("ul", { className: "topics", id: column }));
    section.setAttribute("aria-labelledby", `${filter}-label`);
    return section;
  }
  const label = make("label", { htmlFor: filter, textContent: caption });
  if (control === "choice") {
    const select = inForm("select", { id: filter, name: filter }, make("option", { value: "", textContent: "any" }));
    return make("div", { className: "field", id: `${filter}-field`, hidden: true }, label, select);
  }
  const input = inForm("input", { id: filter, name: filter, type: "search", maxLength: 200, autocomplete: "off", placeholder: "whole name" });
  input.setAttribute("list", column);
  return make("div", { className: "field" }, label, input, make("datalist", { id: column }));
}

function inForm(name, properties, ...children) {
  const field = make(name, properties, ...children);
  field.setAttribute("form", "ask");
  return field;
}

async function showOffered(state) {
  try {
    if (!whole) {
      whole = await facets(readState(""), NAMES);
      showNames(state);
    }
    catalogue.numbers.filter(({ counted }) => counted).forEach((number) => showBars(number, state));
    for (const label of labels("buttons")) {
      const offered = await facets(withChanges(state, { [label.filter]: "" }), BUTTONS);
      if (current().state === state) showButtons(label, offered[label.column], state[label.filter]);
    }
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    for (const { column } of labels("buttons")) at(column).replaceChildren(make("li", { textContent: `${problem.title}.` }));
  }
}

function showNames(state) {
  for (const { column } of labels("name")) {
    at(column).replaceChildren(...whole[column].map(({ value }) => make("option", { value })));
  }
  for (const { column, filter, is_language: isLanguage } of labels("choice")) {
    at(filter).append(...whole[column].map(({ value, count }) =>
      make("option", { value, textContent: `${isLanguage ? languageName(value) : value} (${count.toLocaleString("en")})` })));
    at(`${filter}-field`).hidden = whole[column].length < 2;
    at(filter).value = state[filter];
  }
}

/** How many items have each number, as bars; those within the filter stand out. */
function showBars(number, state) {
  const [from, to] = bounds(number).map((name) => state[name]);
  const counts = whole[number.filter];
  const most = Math.max(...counts.map(({ count }) => count));
  at(number.filter).replaceChildren(...counts.map(({ value, count }) => {
    const bar = make("span", { title: `${value}: ${count.toLocaleString("en")} ${count === 1 ? wording.copy : wording.copies}` });
    bar.style.setProperty("--share", `${(100 * count) / most}%`);
    bar.className = (!from || Number(value) >= from) && (!to || Number(value) <= to) ? "within" : "";
    return bar;
  }));
}

/** Names to choose one of, each with how many items the other filters leave; a rarer one may be chosen already. */
function showButtons({ filter, column }, names, chosen) {
  const listed = !chosen || names.some(({ value }) => value === chosen) ? names : [{ value: chosen }, ...names];
  const focused = document.activeElement?.dataset.name;
  at(column).replaceChildren(...listed.map(({ value, count }) => {
    const button = make("button", { type: "button", ariaPressed: String(value === chosen) },
      make("span", { textContent: value }), make("span", { className: "count", textContent: count?.toLocaleString("en") ?? "" }));
    button.dataset.name = value;
    button.onclick = () => go(withChanges(current().state, { [filter]: value === chosen ? "" : value }));
    return make("li", {}, button);
  }));
  if (focused) [...at(column).querySelectorAll("button")].find(({ dataset }) => dataset.name === focused)?.focus();
}

at("show-filters").addEventListener("click", () => toggleFilters(panel.hidden));
// A click before this would be lost.
at("show-filters").disabled = false;
at("clear-filters").addEventListener("click", () => go(withoutFilters(current().state)));
