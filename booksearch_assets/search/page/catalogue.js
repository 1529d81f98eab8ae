// What is searched here, as the service says: the names of fields and filters, and words for readers.

const answer = await fetch("v1/catalogue");
if (!answer.ok) {
  document.getElementById("notice").textContent = "The service does not say what is searched here. Load the page again in a moment.";
  throw new Error(`v1/catalogue answered with status ${answer.status}`);
}

/** See `CatalogueDescription` of the API. */
export const catalogue = Object.freeze(await answer.json());

export const { wording } = catalogue;

export const keyOf = (item) => item[catalogue.key];

/** Where the source of an item shows it. */
export const sourceAddress = (item) =>
  wording.source_address.replace(/\{(\w+)\}/g, (_, attribute) => encodeURIComponent(item[attribute]));
