import { Uploads } from "http://127.0.0.1:8000/static/uploader.js";

const uploads = new Uploads({ destination: "images" });
const [input, list] = document.querySelectorAll("input, ul");

input.onchange = () => uploads.add(input.files);
uploads.subscribe(() => list.replaceChildren(...uploads.snapshot().map(row)));

function row({ name, state, loaded, total, stored, error }) {
  const item = document.createElement("li");
  const bar = Object.assign(document.createElement("progress"), { max: total || 1, value: loaded });
  item.append(`${name}: ${error ? error.message : state} `, bar);
  if (stored) {
    const link = { href: stored.presigned_url, textContent: "open" };
    item.append(" ", Object.assign(document.createElement("a"), link));
  }
  return item;
}
