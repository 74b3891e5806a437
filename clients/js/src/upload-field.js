/**
 * <claimcheck-upload>: a form field for files, which go straight into the bucket.
 *
 *   <claimcheck-upload name="image" session="/upload-session" accept="image/*" required>
 *     <input type="hidden" name="image" value="">
 *   </claimcheck-upload>
 *
 * The form sends the hidden inputs: the id of each file that was uploaded, the value that the page
 * had for each file that was there before, one empty value without files. A
 * POST to `session` answers {token, endpoint, destination}: an upload session, the service's address;
 * with `resumable: true` where it will answer with that session again. docs/upload-field.md has the rest.
 */

import { dress } from "./upload-field-look.js";
import { failed, Row } from "./upload-field-row.js";
import { Uploader, UploadError } from "./uploader.js";
import { limits, quoted, refusal, say, speak } from "./words.js";

class UploadField extends HTMLElement {
  static formAssociated = true;
  #internals = this.attachInternals();
  #root;
  #rows = []; // in order
  #initial = []; // the rows that the page came with
  #replaced = null; // single: the row that the file being uploaded replaces
  #removed = null; // {row, index}, for Undo
  #isTemporary = false; // whether the error is shown only until the field is valid

  connectedCallback() {
    // The page's language, or the first one of the reader's that there are words for.
    const asked = this.closest("[lang]")?.lang;
    const spoken = speak([...(asked ? [asked] : []), ...navigator.languages]);
    if (spoken) spoken.then(() => this.isConnected && this.#begin());
    else this.#begin();
  }

  #begin() {
    if (this.#root) return;
    this.#root = dress(this);
    const held = [...this.querySelectorAll("input[type=hidden]")].filter(({ value }) => value);
    for (const input of held) {
      const { filename = say("nameless"), type = "", size, src } = input.dataset;
      this.#add(new Row(this, { value: input.value, filename, type, size, src, state: "kept" }));
    }
    this.#initial = [...this.#rows];
    this.#listen();
    this.#dressUp();
    this.#settle(false);
  }

  formResetCallback() {
    if (!this.#root) return;
    for (const row of [...this.#rows]) {
      if (row.isOpen) row.abandon();
      this.#drop(row);
    }
    this.#replaced = null;
    this.#forgetRemoved();
    this.#refuse(null);
    for (const row of this.#initial) this.#add(row);
    this.#settle(false);
  }

  formDisabledCallback() {
    if (!this.#root) return;
    this.#dressUp();
    for (const row of this.#rows) row.show();
    this.#settle(false);
  }

  /* Attributes */

  get #many() {
    return this.hasAttribute("multiple");
  }
  get #most() {
    return this.#many ? Number(this.getAttribute("max-files") ?? Infinity) : 1;
  }
  get #limits() {
    const accepted = (this.getAttribute("accept") ?? "").split(",").map((one) => one.trim());
    return {
      accepted: accepted.includes("*/*") ? [] : accepted.filter(Boolean),
      maxSize: Number(this.getAttribute("max-size") ?? Infinity),
    };
  }
  get isFixed() {
    return this.matches(":disabled");
  }
  get isList() {
    return this.#many;
  }

  #$(selector) {
    return this.#root.querySelector(selector);
  }

  #dressUp() {
    const input = this.#$("input");
    input.multiple = this.#many;
    input.accept = this.getAttribute("accept") ?? "";
    input.disabled = this.isFixed;
    input.ariaRequired = String(this.hasAttribute("required"));
    this.#$(".call").textContent = say(this.#many ? "choose-files" : "choose-file");
    this.#$(".pointer").textContent = say(this.#many ? "or-drop-them" : "or-drop-it");
    const said = limits(this.#limits);
    this.#$(".accepts").textContent = said && said[0].toUpperCase() + said.slice(1);
    const named = [...this.#internals.labels].map((label) => label.textContent.trim()).join(" ");
    this.#$(".field").setAttribute("aria-label", named || this.getAttribute("name"));
    const ids = (this.getAttribute("aria-describedby") ?? "").split(" ").filter(Boolean);
    const described = ids.map((id) => document.getElementById(id)?.textContent.trim() ?? "");
    if (ids.length) this.#$(".field").setAttribute("aria-description", described.join(" "));
  }

  /* Choosing */

  #listen() {
    const input = this.#$("input");
    input.onchange = () => {
      this.choose([...input.files]);
      input.value = ""; // so that choosing the same file again is a change
    };
    this.#$(".undo").onclick = () => this.#undo();
    // The form cannot be sent: say why in the field, because the browser's bubble vanishes soon, and
    // has nothing to point at while the chooser is hidden.
    this.addEventListener("invalid", (event) => {
      event.preventDefault();
      this.#refuse(this.#internals.validationMessage, true);
      this.scrollIntoView({ block: "nearest" });
      (this.#rows.find((row) => row.value === null) ?? this.#$("input")).focus();
    });
    this.addEventListener("click", (event) => {
      // A click on the field's label, elsewhere in the page.
      if (event.composedPath()[0] === this && !this.#$(".drop").hidden) this.pick();
    });
    const over = (on) => this.#$(".field").classList.toggle("over", on);
    this.addEventListener("dragover", (event) => {
      if (this.isFixed || !event.dataTransfer.types.includes("Files")) return;
      event.preventDefault();
      over(true);
    });
    this.addEventListener("dragleave", ({ relatedTarget }) => {
      if (!this.contains(relatedTarget)) over(false);
    });
    this.addEventListener("drop", (event) => {
      over(false);
      if (this.isFixed || !event.dataTransfer.files.length) return;
      event.preventDefault();
      this.choose([...event.dataTransfer.files]);
    });
  }

  /** Add files as if they had been chosen in the field. */
  choose(files) {
    if (!this.#many) files = files.slice(0, 1);
    const room = this.#many ? Math.max(0, this.#most - this.#rows.length) : 1;
    const left = files.length - room;
    const rows = [];
    for (const file of files.slice(0, room)) {
      if (!this.#many && this.#rows.length) this.#standBack(this.#rows[0]);
      const row = new Row(this, { file, filename: file.name, type: file.type, size: file.size });
      this.#add(row);
      const refused = refusal(file, this.#limits);
      if (refused) row.fail({ ...refused, retry: false });
      else rows.push(row);
    }
    this.#forgetRemoved();
    this.start(rows);
    this.#settle();
    this.#refuse(left > 0 ? say("at-most", { count: this.#most, left }) : null);
    rows[0]?.focus();
  }

  /** Single: keep what is there until the new file has arrived. */
  #standBack(row) {
    if (row.value !== null) this.#replaced = row;
    else row.abandon();
    this.#drop(row);
  }

  #refuse(text, isTemporary = false) {
    this.#$(".refused").hidden = !text;
    this.#$(".refused").textContent = text ?? "";
    this.#isTemporary = isTemporary;
  }

  /* Uploading */

  /** Upload the files of these rows, in one session. */
  async start(rows) {
    if (!rows.length) return;
    let uploader;
    try {
      uploader = await this.#session();
    } catch (error) {
      for (const row of rows) row.fail(error);
      return;
    }
    for (const row of rows) if (row.isOpen) row.send(uploader);
  }

  async #session() {
    let response, said;
    try {
      // Where the user is not signed in, the answer is a log-in page, or a redirect to it.
      const how = { method: "POST", headers: this.#proof(), redirect: "manual" };
      response = await fetch(this.getAttribute("session"), how);
      said = await response.json();
    } catch {
      if (!response) throw failed("site-unreachable", { status: 0 });
    }
    if (response.ok && said?.token) {
      const { token, endpoint, destination, resumable } = said;
      // In another session, after a reload, none of this one's uploads could go on.
      const storage = resumable ? undefined : null;
      return new Uploader({ token, endpoint, destination, storage });
    }
    if (said?.title && response.status !== 401) {
      const { lang } = document.documentElement;
      throw new UploadError(said.title, said.detail, { status: response.status, lang });
    }
    const out = response.ok || response.type === "opaqueredirect";
    if (!out && ![401, 403].includes(response.status)) {
      throw failed("site-failed", { status: response.status });
    }
    throw failed("signed-out", { status: 401, signedOut: true });
  }

  /** Proof that the request is this page's, for guards against forged ones. */
  #proof() {
    const names = ["csrf-header", "csrf-cookie", "csrf-input"];
    const [header, cookie, input] = names.map((name) => this.getAttribute(name));
    // The cookie is newer than the form, where somebody has signed in meanwhile. It may be hidden.
    const pair = document.cookie.split("; ").find((one) => one.startsWith(`${cookie}=`));
    const field = input && this.#internals.form?.elements.namedItem(input);
    const token = pair ? decodeURIComponent(pair.slice(cookie.length + 1)) : field?.value;
    if (field && token) field.value = token; // or the form itself would be refused then
    return header && token ? { [header]: token } : {};
  }

  /* Actions of rows */

  uploaded(row) {
    this.#replaced = null;
    this.say(say("is-uploaded", { file: quoted(row.filename) }));
    this.#settle();
  }

  changed() {
    this.#settle(false);
  }

  say(text) {
    this.#$(".said").textContent = text;
  }

  pick() {
    this.#$("input").click();
  }

  move(row, by) {
    const from = this.#rows.indexOf(row);
    const to = from + by;
    this.#rows.splice(from, 1);
    this.#rows.splice(to, 0, row);
    this.#$(".files").insertBefore(row.item, this.#rows[to + 1]?.item ?? null);
    this.say(
      say("moved", { file: quoted(row.filename), place: to + 1, count: this.#rows.length }),
    );
    this.#settle();
  }

  /** Remove a file, which can be undone until another is chosen. */
  remove(row) {
    const index = this.#rows.indexOf(row);
    this.#drop(row);
    this.#removed = { row, index };
    const then = this.hasAttribute("deletes") ? "taken-out-deleted" : "taken-out-kept";
    const how = row.state === "kept" ? then : "taken-out";
    this.#$(".taken-out span").textContent = say(how, { file: quoted(row.filename) });
    this.#$(".taken-out").hidden = false;
    this.say(this.#$(".taken-out span").textContent);
    this.#settle();
    this.#$(".undo").focus();
  }

  /** Handle an upload that failed or was cancelled. */
  dismiss(row) {
    const index = this.#rows.indexOf(row);
    this.#drop(row);
    if (this.#replaced) this.#add(this.#replaced, 0);
    this.#replaced = null;
    this.#settle();
    (this.#rows[Math.min(index, this.#rows.length - 1)] ?? this.#$("input")).focus();
  }

  #undo() {
    const { row, index } = this.#removed;
    this.#forgetRemoved();
    this.#add(row, index);
    this.#settle();
    row.focus();
  }

  #forgetRemoved() {
    this.#removed = null;
    this.#$(".taken-out").hidden = true;
  }

  #add(row, index = this.#rows.length) {
    this.#$(".files").insertBefore(row.item, this.#rows[index]?.item ?? null);
    this.#rows.splice(index, 0, row);
  }

  #drop(row) {
    this.#rows = this.#rows.filter((other) => other !== row);
    row.item.remove();
  }

  newRow() {
    return this.#$("template").content.firstElementChild.cloneNode(true);
  }

  /* The value for the form */

  #settle(changed = true) {
    const rows = this.#rows;
    rows.forEach((row, index) => row.place(index, rows.length));
    this.#$(".drop").hidden = rows.length >= this.#most || (this.isFixed && rows.length > 0);
    const values = rows.map(({ value }) => value).filter((value) => value !== null);
    // The replaced file is the value until the new one is uploaded.
    if (this.#replaced) values.push(this.#replaced.value);
    const inputs = (values.length ? values : [""]).map((value) => {
      const input = document.createElement("input");
      Object.assign(input, { type: "hidden", name: this.getAttribute("name"), value });
      input.disabled = this.isFixed;
      return input;
    });
    this.replaceChildren(...inputs);
    const open = rows.find(({ isOpen }) => isOpen);
    const failed = rows.find(({ state }) => state === "failed");
    const anchor = this.#$(".drop").hidden ? undefined : this.#$("input");
    if (open) {
      const how = open.state === "paused" ? "still-paused" : "still-sending";
      const text = say(how, { file: quoted(open.filename) });
      this.#internals.setValidity({ customError: true }, text, anchor);
    } else if (failed) {
      const text = say("not-uploaded", { file: quoted(failed.filename) });
      this.#internals.setValidity({ customError: true }, text, anchor);
    } else if (this.hasAttribute("required") && !values.length) {
      this.#internals.setValidity({ valueMissing: true }, say("required"), anchor);
    } else {
      this.#internals.setValidity({});
      if (this.#isTemporary) this.#refuse(null);
    }
    if (changed) this.dispatchEvent(new Event("change", { bubbles: true }));
  }

  get isBusy() {
    return this.#rows.some(({ isOpen }) => isOpen);
  }

  /** Whether a file was chosen that the form would not send; it says so. */
  complains() {
    return this.#internals.validity.customError && !this.#internals.reportValidity();
  }
}

/* A file dropped beside the field would replace the page, and with it the form's contents. */
for (const type of ["dragover", "drop"]) {
  addEventListener(type, (event) => {
    if (event.defaultPrevented || !event.dataTransfer?.types.includes("Files")) return;
    if (event.target.matches?.("input[type=file]")) return;
    event.preventDefault();
    event.dataTransfer.dropEffect = "none";
  });
}

/* A form with `novalidate`, as Django's admin has, would be sent without what is still uploaded. */
addEventListener(
  "submit",
  (event) => {
    const { target, submitter } = event;
    if (!target.noValidate || submitter?.formNoValidate) return;
    const fields = [...target.elements].filter((one) => one instanceof UploadField);
    if (!fields.some((field) => field.complains())) return;
    event.preventDefault();
    event.stopImmediatePropagation();
  },
  { capture: true },
);

addEventListener("beforeunload", (event) => {
  const busy = [...document.querySelectorAll("claimcheck-upload")].some(({ isBusy }) => isBusy);
  if (busy) event.preventDefault();
});

if (!customElements.get("claimcheck-upload")) {
  customElements.define("claimcheck-upload", UploadField);
}
