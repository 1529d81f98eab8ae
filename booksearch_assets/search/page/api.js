// The REST API as the page needs it: the only module that knows its addresses and the form of its JSON.

import { catalogue, wording } from "./catalogue.js";
import { isKept, openPicture } from "./pictures.js";
import { bounds } from "./state.js";

const PAGE_SIZE = 36;
const TOKEN = "token";

/** Why there is no answer: `title` and `detail` are for readers; `retryAfter` is in seconds, or null. */
export class Problem extends Error {
  constructor(kind, title, detail, retryAfter = null) {
    super(detail);
    Object.assign(this, { kind, title, detail, retryAfter });
  }
}

/** Whoever runs the service may ask for a token. It is kept until the tab is closed. */
export const useToken = (token) => sessionStorage.setItem(TOKEN, token);

/** One page of results: `{items, cursor, collection, model}`, the cursor null after the last page. */
export async function search(state, cursor, signal) {
  const answer = await send("v1/search", { method: "POST", signal, ...(await content(question(state, cursor), state.image)) });
  return { items: answer.results, cursor: answer.next_cursor, collection: answer.collection, model: answer.model_id };
}

/** One item with its copies: `{item, others}`. */
export async function openItem(key) {
  const answer = await send(`v1/items/${encodeURIComponent(key)}`);
  return { item: answer[wording.item], others: answer[catalogue.others] };
}

/** The `top` most frequent values to filter by within the filters of a state. */
export const facets = (state, top) => send(`v1/facets?${new URLSearchParams(given({ ...filters(state), top }))}`);

/** Where the picture of an item is, at least `width` CSS pixels wide on this screen. */
export function pictureAddress(item, width) {
  const wanted = width * Math.min(2, Math.ceil(devicePixelRatio));
  return `${catalogue.pictures}/${encodeURIComponent(item[catalogue.image])}?width=${wanted}`;
}

function question(state, cursor) {
  const weight = Number(state.weight);
  return given({
    text: state.q.trim(),
    like: state.like,
    without: state.not.trim(),
    mode: state.mode,
    template: state.template,
    ...(state.q && state.image && { text_weight: (100 - weight) / 50, image_weight: weight / 50 }),
    image_url: isKept(state.image) ? "" : state.image,
    ...filters(state),
    k: PAGE_SIZE,
    cursor,
  });
}

const filters = (state) => given({
  ...Object.fromEntries(catalogue.numbers.map((number) => [number.filter, span(...bounds(number).map((name) => state[name]))])),
  ...Object.fromEntries(catalogue.labels.map(({ filter }) => [filter, state[filter]])),
});

const span = (low, high) => (low || high ? `${low}..${high}` : "");

/** Without what is empty: the API refuses empty texts. */
const given = (fields) => Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== "" && value !== null));

/** A body as JSON, or as a form where it has a picture's bytes. */
async function content(fields, image) {
  if (!isKept(image)) {
    return { body: JSON.stringify(fields), headers: { "Content-Type": "application/json" } };
  }
  const picture = await openPicture(image);
  if (!picture) {
    throw new Problem(
      "picture-gone", "This picture is not here",
      "An address cannot hold a picture: the browser that it was given to keeps it. Drop or choose it again.",
    );
  }
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) form.append(name, value);
  form.append("image", picture, "picture");
  return { body: form };
}

async function send(address, { headers, ...options } = {}) {
  const token = sessionStorage.getItem(TOKEN);
  let response;
  try {
    response = await fetch(address, { ...options, headers: { ...headers, ...(token && { Authorization: `Bearer ${token}` }) } });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw navigator.onLine
      ? new Problem("unreachable", "The service does not answer", "It may be starting again. Nothing of your search is lost.")
      : new Problem("offline", "You are offline", "The search goes on when the connection is back.");
  }
  if (response.ok) return response.json();
  throw await problemOf(response);
}

/** The problem that an answer tells (RFC 9457), or that its status means where something in between answered. */
async function problemOf(response) {
  const told = response.headers.get("Content-Type")?.includes("json") ? await response.json().catch(() => ({})) : {};
  const kind = told.type?.split(":").pop() ?? `status-${response.status}`;
  const seconds = Number(response.headers.get("Retry-After"));
  return new Problem(
    kind, told.title ?? "The service cannot answer", told.detail ?? `It answered with status ${response.status}.`,
    seconds > 0 ? seconds : null,
  );
}
