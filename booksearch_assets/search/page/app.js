// The page: what happens at every move, and the keys that work everywhere.

import { at } from "./dom.js";
import "./words.js";
import { fillFilters, toggleFilters } from "./filters.js";
import { fillForm } from "./form.js";
import { itemLinks } from "./grid.js";
import { showItem } from "./item.js";
import { current, go, onMove } from "./navigation.js";
import { showResults } from "./results.js";
import { filtersInUse, readState } from "./state.js";

function show(place, before) {
  // Asking the same again is worth it only where there was no answer.
  const unanswered = at("notice").hasChildNodes();
  if (place.state !== before?.state || (unanswered && place.opened === before.opened)) {
    fillForm(place.state);
    fillFilters(place.state);
    showResults(place.state);
  }
  if (place.opened !== (before?.opened ?? "")) showItem(place.opened, place.state);
}

onMove(show);
show(current());
// On a phone the filters would push the results out of sight.
if (filtersInUse(current().state).length && matchMedia("(min-width: 52rem)").matches) toggleFilters(true);
if (!location.search && matchMedia("(hover: hover)").matches) at("q").focus();

addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || at("item").open) return;
  const typing = event.target.matches("input:not([type=radio], [type=range]), select, textarea");
  if (event.key === "/" && !typing) {
    event.preventDefault();
    at("q").select();
    at("q").focus();
  } else if (event.key === "Escape" && (!typing || event.target.id === "q")) {
    event.preventDefault();
    at("q").value = "";
    if (location.search) go(readState(""));
    at("q").focus();
  } else if (event.key === "ArrowDown" && event.target.id === "q" && itemLinks().length) {
    event.preventDefault();
    itemLinks()[0].focus();
  }
});

const isDark = () =>
  (document.documentElement.dataset.theme ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
const showTheme = () => { at("theme").ariaPressed = String(isDark()); };
at("theme").addEventListener("click", () => {
  const theme = isDark() ? "light" : "dark";
  localStorage.setItem("theme", theme);
  document.documentElement.dataset.theme = theme;
  showTheme();
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", showTheme);
showTheme();
