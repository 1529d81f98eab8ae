// What stands in the place of results: nothing found, an error in words, offline, too fast, a token needed.

import { useToken } from "./api.js";
import { wording } from "./catalogue.js";
import { announce, at, make } from "./dom.js";
import { filtersInUse, withChanges, withoutFilters, writeState } from "./state.js";

let waiting = null;

export function clearNotice() {
  clearInterval(waiting);
  removeEventListener("online", retryOnline);
  at("notice").replaceChildren();
}

export function showNothingFound(state) {
  const filtered = filtersInUse(state).length > 0;
  show(
    `No ${wording.images} here`,
    filtered ? "Nothing within these filters." : "Try other words, or fewer of them.",
    filtered
      ? make("a", { className: "go", href: writeState(withoutFilters(state)) || "./", textContent: "Search without filters" })
      : make("a", { className: "go", href: "./", textContent: "Start again" }),
  );
}

/** Say a problem in words, with the way on. `retry` asks again. */
export function showProblem(problem, state, retry) {
  if (problem.kind === "unauthorized") {
    showToken(problem, retry);
    return;
  }
  if (problem.kind === "picture-gone") {
    const words = state.q ? "Search by the words alone" : "Start again";
    show(problem.title, problem.detail, make("a", { className: "go", href: writeState(withChanges(state, { image: "" })) || "./", textContent: words }));
    announce(problem.title);
    return;
  }
  const button = make("button", { className: "go", textContent: "Try again", onclick: retry });
  const detail = show(problem.title, sentence(problem.detail), button);
  if (problem.kind === "offline") {
    retryOnline = retry;
    addEventListener("online", retryOnline, { once: true });
  }
  if (problem.retryAfter) countDown(problem.retryAfter, detail, retry);
  announce(`${problem.title}. ${problem.detail}`);
}

let retryOnline = () => {};

function countDown(seconds, detail, retry) {
  const end = Date.now() + 1000 * seconds;
  const tick = () => {
    const left = Math.ceil((end - Date.now()) / 1000);
    detail.textContent = `Trying again in ${left} s.`;
    if (left <= 0) {
      clearInterval(waiting);
      retry();
    }
  };
  tick();
  waiting = setInterval(tick, 500);
}

function showToken(problem, retry) {
  const input = make("input", { type: "text", required: true, autocomplete: "off", spellcheck: false, ariaLabel: "Token" });
  const form = make("form", {}, input, make("button", { className: "go", textContent: "Go on" }));
  form.onsubmit = (event) => {
    event.preventDefault();
    useToken(input.value.trim());
    retry();
  };
  show("This service asks for a token", "Whoever runs it can give you one. It is kept until this tab is closed.", form);
  announce("This service asks for a token");
}

function show(title, text, ...ways) {
  const detail = make("p", { textContent: text });
  at("notice").replaceChildren(make("div", { className: "notice" }, make("h2", { textContent: title }), detail, ...ways));
  return detail;
}

const sentence = (text) => text.charAt(0).toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? "" : ".");
