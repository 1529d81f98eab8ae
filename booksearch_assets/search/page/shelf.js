// Items that were seen already, so that opening one or asking for its like shows it at once.

import { openItem } from "./api.js";
import { keyOf } from "./catalogue.js";

const seen = new Map();

export const remember = (items) => items.forEach((item) => seen.set(keyOf(item), item));

export const seenItem = (key) => seen.get(key);

/** The item of this key, asked for where it was not seen. Rejects with a `Problem`. */
export async function itemOf(key) {
  if (!seen.has(key)) remember([(await openItem(key)).item]);
  return seen.get(key);
}
