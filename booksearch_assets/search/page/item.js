// One item, opened over the results.

import { openItem, Problem } from "./api.js";
import { catalogue, keyOf, sourceAddress, wording } from "./catalogue.js";
import { announce, at, make } from "./dom.js";
import { byline, dress, told } from "./grid.js";
import { closeItem } from "./navigation.js";
import { seenItem } from "./shelf.js";
import { asking, withChanges, writeState } from "./state.js";

const WIDTH = 400;
const TOPICS = 12;
const topic = catalogue.labels.find(({ column }) => column === catalogue.topic);
const dialog = at("item");
let opened = "";

/** Open the item of this key, or close what is open for "". */
export async function showItem(key, state) {
  opened = key;
  if (!key) {
    dialog.close();
    return;
  }
  const seen = seenItem(key);
  if (seen) open(seen, seen[catalogue.more] ?? 0, state);
  try {
    const { item, others } = await openItem(key);
    if (opened === key) open(item, others.length, state);
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    if (opened !== key || seen) return;
    announce(`${problem.title}. ${problem.detail}`);
    closeItem();
  }
}

function open(item, more, state) {
  at("item-title").textContent = item.title || "Untitled";
  at("item-byline").replaceChildren(...byline(item, more), make("br"), facts(item));
  dress(dialog.querySelector(".jacket"), item, WIDTH);
  at("item-topics").replaceChildren(...item[topic.column].slice(0, TOPICS).map((value) =>
    make("li", {}, make("a", { href: writeState(withChanges(state, { [topic.filter]: value })), textContent: value }))));
  at("item-similar").href = writeState(asking(state, { like: keyOf(item) }));
  at("item-link").href = sourceAddress(item);
  if (!dialog.open) dialog.showModal();
}

const facts = (item) => wording.facts.flatMap((fact) => told(fact, item)).join(" · ");

dialog.addEventListener("close", () => { if (opened) closeItem(); });
// A click on the backdrop is one on the dialog itself, outside its content.
dialog.addEventListener("click", (event) => {
  const box = dialog.getBoundingClientRect();
  const inside = event.clientX >= box.left && event.clientX <= box.right && event.clientY >= box.top && event.clientY <= box.bottom;
  if (event.target === dialog && !inside) dialog.close();
});
