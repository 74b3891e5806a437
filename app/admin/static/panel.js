/* Copying, selecting all, a field that waits for its form, texts, and thumbnails that cannot be
   shown. All else needs no script. */

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const label = button.textContent;
  try {
    await navigator.clipboard.writeText(button.dataset.copy);
    button.textContent = "Copied";
  } catch {
    // Without TLS browsers have no clipboard for pages.
    prompt("Copy this:", button.dataset.copy);
    return;
  }
  setTimeout(() => (button.textContent = label), 2000);
});

for (const image of document.querySelectorAll(".thumbnail img")) {
  const give = () => image.replaceWith(image.dataset.ending);
  if (image.complete && !image.naturalWidth && image.getAttribute("loading") !== "lazy") give();
  image.addEventListener("error", give);
}

for (const all of document.querySelectorAll("[data-select-all]")) {
  const each = () => document.querySelectorAll(`input[name=id][form="${all.dataset.selectAll}"]`);
  const label = all.form.querySelector(".many-label");
  all.parentElement.hidden = false;
  all.addEventListener("change", () => {
    for (const one of each()) one.checked = all.checked;
    count();
  });
  document.addEventListener("change", ({ target }) => target.name === "id" && count());
  count();
  addEventListener("pageshow", count); // browsers keep what was selected when one comes back

  function count() {
    const chosen = [...each()].filter((one) => one.checked).length;
    all.checked = chosen > 0 && chosen === each().length;
    all.indeterminate = chosen > 0 && chosen < each().length;
    label.textContent = `${chosen} selected:`;
  }
}

/* A field whose files go where a form says: while other values are in the form than the page was
   made with, the field takes none. */
for (const form of document.querySelectorAll("[data-holds]")) {
  const field = document.getElementById(form.dataset.holds);
  const isChanged = (one) =>
    one.options
      ? [...one.options].some(({ selected, defaultSelected }) => selected !== defaultSelected)
      : one.type !== "submit" && one.value !== one.defaultValue;
  const hold = () => {
    const isHeld = [...form.elements].some(isChanged);
    field.toggleAttribute("disabled", isHeld);
    form.querySelector("[type=submit]").classList.toggle("btn-primary", isHeld);
  };
  form.addEventListener("input", hold);
  addEventListener("pageshow", hold);
}

/* The beginning of a text. It is read by a range, and cut again where a store sends all of it. */
for (const text of document.querySelectorAll("[data-text]")) showText(text);

async function showText(text) {
  const most = Number(text.dataset.bytes);
  const said = text.nextElementSibling;
  try {
    const answer = await fetch(text.dataset.text, { headers: { Range: `bytes=0-${most - 1}` } });
    if (!answer.ok && answer.status !== 416) throw new Error(answer.status);
    const start = answer.status === 416 ? new Uint8Array() : await beginning(answer, most);
    // With `stream` a character that the cut has halved is left out.
    text.textContent = new TextDecoder(charset(answer, start)).decode(start, { stream: true });
    if (Number(text.dataset.size) > most) said.textContent = "This is the beginning. Open the file to see all of it.";
    if (!text.dataset.size || text.dataset.size === "0") said.textContent = "The file is empty.";
  } catch {
    text.hidden = true;
    said.textContent = "The bucket does not let this page read the file. Open it instead.";
  }
}

async function beginning(answer, most) {
  const reader = answer.body.getReader();
  const chunks = [];
  let size = 0;
  while (size < most) {
    const { done, value } = await reader.read();
    if (done) break;
    chunks.push(value);
    size += value.length;
  }
  reader.cancel();
  return new Uint8Array(await new Blob(chunks).arrayBuffer()).subarray(0, most);
}

function charset(answer, start) {
  if (start[0] === 0xff && start[1] === 0xfe) return "utf-16le";
  if (start[0] === 0xfe && start[1] === 0xff) return "utf-16be";
  const said = /charset=([\w-]+)/i.exec(answer.headers.get("Content-Type") ?? "")?.[1];
  try {
    return new TextDecoder(said).encoding;
  } catch {
    return "utf-8";
  }
}
