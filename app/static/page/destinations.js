/** Where files can go, and what may go there. */

import { UploadError } from "../uploader.js";
import { limits, refusal, say } from "../words.js";
import { $, call } from "./basics.js";

let destinations = [];

export async function loadDestinations() {
  ({ items: destinations } = await call("GET", "v1/destinations"));
  $("destination").replaceChildren(...destinations.map(({ name }) => new Option(name, name)));
  for (const id of ["destination", "choose", "folder"]) $(id).disabled = !destinations.length;
  showDestination();
}

/** The rules of a destination: each file fits one of the types, and one of the extensions. */
function rulesOf({ content_types: types, extensions, min_size: minSize, max_size: maxSize }) {
  return {
    types: types.includes("*/*") ? [] : types,
    extensions: extensions.map((extension) => `.${extension}`),
    sizes: { minSize, maxSize },
  };
}

export const chosenDestination = () =>
  destinations.find(({ name }) => name === $("destination").value);

export function showDestination() {
  const chosen = chosenDestination();
  if (chosen) showRules(chosen);
}

/** Say what a destination takes, and have the browser offer that. */
export function showRules(destination) {
  const { types, extensions, sizes } = rulesOf(destination);
  $("choose").accept = [...types, ...extensions].join(",");
  const accepted = extensions.length ? extensions : types;
  const text = accepted.length ? limits({ accepted, ...sizes }) : limits({ accepted: ["*/*"], ...sizes });
  $("accepts").textContent = say("takes", { limits: text });
}

/** Why the destination would not take the file, as UploadError, or null. */
export function refused(file, destination) {
  const { types, extensions, sizes } = rulesOf(destination);
  const why =
    refusal(file, { accepted: types, ...sizes }) ?? refusal(file, { accepted: extensions });
  return why && new UploadError(why.title, why.detail, { retry: false, lang: why.lang });
}
