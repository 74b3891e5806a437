import { Uploads } from "http://127.0.0.1:8000/static/uploader.js";

const uploads = new Uploads({ destination: "images", token });
const [input, list, save] = document.querySelectorAll("[type=file], ul, button");

input.onchange = () => uploads.add(input.files);
uploads.subscribe(() => {
  list.replaceChildren(...uploads.snapshot().map(row));
  save.disabled = !list.querySelector("input");
});

async function token() {
  const answer = await fetch("/upload-session", { method: "POST" });
  if (!answer.ok) throw new Error("You may not upload. Sign in again.");
  return answer.text();
}

function row({ name, state, loaded, total, stored, error }) {
  const item = document.createElement("li");
  const bar = Object.assign(document.createElement("progress"), { max: total || 1, value: loaded });
  item.append(`${name}: ${error ? error.message : state} `, bar);
  if (stored) {
    const id = { type: "hidden", name: "file", value: stored.id };
    item.append(Object.assign(document.createElement("input"), id));
  }
  return item;
}
