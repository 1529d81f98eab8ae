// Pictures to search with. A picture's bytes do not fit in an address, so this browser keeps them under a name, and the
// address holds the name: reload, back and bookmarks work in this browser, and another one says what is missing.

const PREFIX = "here:";
const KEPT = 40;
const LONGEST_SIDE = 1024;

/** Whether an image parameter names a picture that a browser keeps, rather than an address. */
export const isKept = (reference) => reference.startsWith(PREFIX);

/** Keep a picture that a person gave. Returns its reference. Throws where it is no picture. */
export async function keepPicture(file) {
  const blob = await smaller(file);
  const name = [...crypto.getRandomValues(new Uint8Array(8))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  await inStore("readwrite", (store) => store.put({ name, blob, at: Date.now() }));
  await forgetOldest();
  return PREFIX + name;
}

/** The bytes of a kept picture, or null where this browser does not have it. */
export async function openPicture(reference) {
  const found = await inStore("readonly", (store) => store.get(reference.slice(PREFIX.length)));
  return found?.blob ?? null;
}

/** A canvas that shows a picture: the page's policy allows no blob: addresses. */
export async function drawPicture(blob, height) {
  const bitmap = await createImageBitmap(blob);
  const canvas = document.createElement("canvas");
  canvas.height = height * devicePixelRatio;
  canvas.width = Math.max(1, Math.round((canvas.height * bitmap.width) / bitmap.height));
  canvas.getContext("2d").drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  return canvas;
}

/** The picture as given, or scaled down where it has more pixels than any model looks at. */
async function smaller(file) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(file);
  } catch {
    throw new Error("That file is not a picture that this browser can read. JPEG, PNG, WebP and GIF work.");
  }
  const factor = LONGEST_SIDE / Math.max(bitmap.width, bitmap.height);
  if (factor >= 1 && ["image/jpeg", "image/png", "image/webp"].includes(file.type)) return file;
  const canvas = document.createElement("canvas");
  canvas.width = Math.round(bitmap.width * Math.min(1, factor));
  canvas.height = Math.round(bitmap.height * Math.min(1, factor));
  const context = canvas.getContext("2d");
  // Where a picture is transparent, JPEG would be black.
  context.fillStyle = "white";
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  return new Promise((resolve) => { canvas.toBlob(resolve, "image/jpeg", 0.92); });
}

async function forgetOldest() {
  const all = await inStore("readonly", (store) => store.index("at").getAllKeys());
  for (const name of all.slice(0, -KEPT)) await inStore("readwrite", (store) => store.delete(name));
}

async function inStore(mode, act) {
  const database = await finished(opening());
  try {
    return await finished(act(database.transaction("pictures", mode).objectStore("pictures")));
  } finally {
    database.close();
  }
}

function opening() {
  const request = indexedDB.open("booksearch", 1);
  request.onupgradeneeded = () => request.result.createObjectStore("pictures", { keyPath: "name" }).createIndex("at", "at");
  return request;
}

const finished = (request) => new Promise((resolve, reject) => {
  request.onsuccess = () => resolve(request.result);
  request.onerror = () => reject(request.error);
});
