// Books that were seen already, so that opening one or asking for its like shows it at once.

import { item } from "./api.js";

const seen = new Map();

export const remember = (books) => books.forEach((book) => seen.set(book.edition_key, book));

export const seenBook = (key) => seen.get(key);

/** The book of this key, asked for where it was not seen. Rejects with a `Problem`. */
export async function bookOf(key) {
  if (!seen.has(key)) remember([(await item(key)).book]);
  return seen.get(key);
}
