/** Times in the reader's zone, and how long ago they were; without this script they are UTC. */

import { speak, timeIn, zone } from "/static/words.js";

// The panel is in English; of the reader's languages it has the way to write dates.
await speak([...navigator.languages.filter((tag) => /^en(-|$)/i.test(tag)), "en-GB"]);
for (const time of document.querySelectorAll("time")) timeIn(time);
for (const note of document.querySelectorAll("[data-zone]")) {
  note.textContent = `Times are those of ${zone()}.`;
}
