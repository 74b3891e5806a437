/* Copying, and thumbnails that cannot be shown. Everything else works without a script. */

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
