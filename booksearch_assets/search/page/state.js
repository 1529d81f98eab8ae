// What is asked, as a frozen object, and the address that says the same. Whoever has the address has the search.

import { catalogue, wording } from "./catalogue.js";

/** The two bounds of a number's filter, as they are called in an address. */
export const bounds = ({ unit }) => [`${unit}_from`, `${unit}_to`];

const FILTERS = [...catalogue.numbers.flatMap(bounds), ...catalogue.labels.map(({ filter }) => filter)];

const PLAIN = Object.freeze({
  q: "", image: "", like: "", weight: "50", not: "", mode: "", template: "",
  ...Object.fromEntries(FILTERS.map((name) => [name, ""])),
});

export const NAMES = Object.keys(PLAIN);

export function readState(search = location.search) {
  const parameters = new URLSearchParams(search);
  return Object.freeze(Object.fromEntries(NAMES.map((name) => [name, parameters.get(name) ?? PLAIN[name]])));
}

/** The query string of a state, "" for the plain one. */
export function writeState(state) {
  const parameters = new URLSearchParams(NAMES.filter((name) => state[name] !== PLAIN[name]).map((name) => [name, state[name]]));
  return parameters.size ? `?${parameters}` : "";
}

/** The state with some changes. */
export const withChanges = (state, changes) => Object.freeze({ ...state, ...changes });

/** Another question within the same filters. */
export const asking = (state, changes) =>
  withChanges(PLAIN, { ...Object.fromEntries(FILTERS.map((name) => [name, state[name]])), ...changes });

export const withoutFilters = (state) =>
  withChanges(state, { not: "", ...Object.fromEntries(FILTERS.map((name) => [name, ""])) });

/** Whether anything is asked at all: filters alone ask nothing. */
export const asksSomething = (state) => Boolean(state.q.trim() || state.image || state.like);

/** The filters in use, each with words for it and the state without it. */
export function filtersInUse(state) {
  const span = (what, from, to) => (from && to ? `${what} ${from}–${to}` : from ? `${what} from ${from}` : `${what} up to ${to}`);
  const used = [];
  if (state.not) used.push([`not “${state.not}”`, { not: "" }]);
  for (const number of catalogue.numbers) {
    const [from, to] = bounds(number);
    if (state[from] || state[to]) {
      used.push([span(number.caption.toLowerCase(), state[from], state[to]), { [from]: "", [to]: "" }]);
    }
  }
  for (const { filter, said, is_language: isLanguage } of catalogue.labels) {
    const value = state[filter];
    if (value) used.push([said.replace("{}", () => (isLanguage ? languageName(value) : value)), { [filter]: "" }]);
  }
  return used.map(([words, changes]) => ({ words, without: withChanges(state, changes) }));
}

/** What is asked, in words. */
export function inWords(state, likeTitle) {
  if (state.like) {
    const like = `More like ${likeTitle ? `“${likeTitle}”` : `this ${wording.item}`}`;
    return state.q ? `${like}, with “${state.q}”` : like;
  }
  if (state.image) return state.q ? `“${state.q}” and your picture` : `${capital(wording.images)} like your picture`;
  return `“${state.q}”`;
}

const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);

/** A reader's name of a MARC language code, which for most languages is the code that browsers know too. */
export function languageName(code) {
  try {
    return new Intl.DisplayNames("en", { type: "language" }).of(code);
  } catch {
    return code;
  }
}
