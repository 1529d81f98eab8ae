// What is asked, as a frozen object, and the address that says the same. Whoever has the address has the search.

const PLAIN = Object.freeze({
  q: "", image: "", like: "", weight: "50", not: "", mode: "", template: "",
  year_from: "", year_to: "", pages_from: "", pages_to: "", author: "", subject: "", language: "",
});

const FILTERS = ["year_from", "year_to", "pages_from", "pages_to", "author", "subject", "language"];

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
  if (state.year_from || state.year_to) {
    used.push([span("published", state.year_from, state.year_to), { year_from: "", year_to: "" }]);
  }
  if (state.pages_from || state.pages_to) {
    used.push([span("pages", state.pages_from, state.pages_to), { pages_from: "", pages_to: "" }]);
  }
  if (state.author) used.push([`by ${state.author}`, { author: "" }]);
  if (state.subject) used.push([state.subject, { subject: "" }]);
  if (state.language) used.push([`in ${languageName(state.language)}`, { language: "" }]);
  return used.map(([words, changes]) => ({ words, without: withChanges(state, changes) }));
}

/** What is asked, in words. */
export function inWords(state, likeTitle) {
  if (state.like) {
    const like = `More like ${likeTitle ? `“${likeTitle}”` : "this book"}`;
    return state.q ? `${like}, with “${state.q}”` : like;
  }
  if (state.image) return state.q ? `“${state.q}” and your picture` : "Covers like your picture";
  return `“${state.q}”`;
}

/** A reader's name of a MARC language code, which for most languages is the code that browsers know too. */
export function languageName(code) {
  try {
    return new Intl.DisplayNames("en", { type: "language" }).of(code);
  } catch {
    return code;
  }
}
