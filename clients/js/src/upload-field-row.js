/** A file in <claimcheck-upload>: its row, messages and buttons. */

import { badge, picture } from "./thumbnail.js";
import { UploadError } from "./uploader.js";
import { bytes, failure, listed, quoted, say, told } from "./words.js";

/** An UploadError in the language chosen. */
export function failed(name, more) {
  const { title, detail, lang } = told(name, more);
  return new UploadError(title, detail, { ...more, lang });
}

/** A file in the field: one that it had already, or one that was chosen. */
export class Row {
  value = null; // sent with the form for this file, null while it is not uploaded
  state = "waiting"; // or "kept", "stored", "failed", or a state of the uploader
  #text = "";
  #buttons = {};
  #uploader;
  #upload;

  constructor(field, what) {
    Object.assign(this, { field }, what);
    this.item = field.newRow();
    this.#$("bdi").textContent = this.filename;
    for (const button of this.item.querySelectorAll(".actions > *")) {
      this.#buttons[button.className] = button;
      const does = button.title || button.textContent;
      button.setAttribute("aria-label", say("does", { does, file: this.filename }));
    }
    this.#$("progress").setAttribute("aria-label", say("upload-of", { file: this.filename }));
    const { up, down, pause, resume, retry, cancel, dismiss, replace, remove } = this.#buttons;
    up.onclick = () => this.#move(-1, up, down);
    down.onclick = () => this.#move(1, down, up);
    pause.onclick = () => this.#upload?.pause();
    resume.onclick = () => this.#upload?.resume();
    retry.onclick = () => this.#retry();
    cancel.onclick = () => {
      this.abandon();
      field.dismiss(this);
      field.say(say("is-cancelled", { file: quoted(this.filename) }));
    };
    dismiss.onclick = () => field.dismiss(this);
    replace.onclick = () => field.pick();
    remove.onclick = () => field.remove(this);
    this.#picture();
    this.show(this.state === "kept" ? this.#size : say("waiting"));
  }

  get isOpen() {
    return !["kept", "stored", "failed"].includes(this.state);
  }

  get #size() {
    return this.size === undefined ? "" : bytes(Number(this.size));
  }

  #$(selector) {
    return this.item.querySelector(selector);
  }

  /** Focus the first button that is not Cancel, which a second Enter would press. */
  focus() {
    const offered = [...this.item.querySelectorAll(".actions > :not(.cancel)")];
    (offered.find(({ hidden, disabled }) => !hidden && !disabled) ?? this.item).focus();
  }

  /** Show its position in the list. */
  place(index, count) {
    const moves = this.field.isList && count > 1 && !this.field.isFixed && this.value !== null;
    this.#buttons.up.hidden = this.#buttons.down.hidden = !moves;
    this.#buttons.up.disabled = index === 0;
    this.#buttons.down.disabled = index === count - 1;
  }

  #move(by, button, other) {
    this.field.move(this, by);
    (button.disabled ? other : button).focus();
  }

  async send(uploader) {
    this.#uploader = uploader;
    const onProgress = (progress) => this.#tell(progress);
    const upload = (this.#upload = uploader.upload(this.file, { onProgress }));
    try {
      const stored = await upload;
      this.value = stored.id;
      this.state = "stored";
      // Outside of a form there is nothing to save.
      this.show(listed([this.#size, this.field.matches("form *, [form]") && say("uploaded-save")]));
      this.field.uploaded(this);
    } catch (error) {
      if (error.name === "AbortError") return;
      this.fail(error);
      if (!(error instanceof UploadError)) throw error;
    }
  }

  #tell({ loaded, total, state }) {
    if (!this.isOpen) return;
    const turned = state !== this.state;
    this.state = state;
    this.#$("progress").value = total ? loaded / total : 1;
    const part = state !== "confirming" && say("part-of", { loaded: bytes(loaded), total: bytes(total) });
    const text = listed([state !== "sending" && say(state), part]);
    this.show(text);
    if (!turned) return;
    this.field.changed();
    if (!["waiting", "sending", "confirming"].includes(state)) {
      this.field.say(`${quoted(this.filename)}: ${text}`);
    }
  }

  fail(error) {
    if (!this.isOpen) return;
    this.state = "failed";
    // The session has ended, in whichever way; the file itself is not at fault.
    if (error.status === 401 && !error.signedOut) {
      error = failed("session-over", { status: 401 });
      this.#uploader = null;
    }
    this.error = error;
    const { title, detail, lang } = failure(error);
    const strong = document.createElement("strong");
    strong.textContent = title;
    this.#$(".problem").lang = lang;
    this.#$(".problem").replaceChildren(strong, ` ${detail}`);
    this.show(listed([say("not-sent"), this.#size]));
    this.field.changed();
  }

  #retry() {
    this.state = "waiting";
    this.#upload = null;
    this.#$("progress").value = 0;
    this.show(say("waiting"));
    this.field.changed();
    // In the same session the upload continues where it was.
    if (this.#uploader && this.error.type !== "upload-session-exhausted") this.send(this.#uploader);
    else this.field.start([this]);
  }

  /** Cancel the upload. */
  abandon() {
    if (this.isOpen) this.#upload?.cancel();
    this.state = "failed";
  }

  /** Show the message and the buttons of its state; the focus stays in the row. */
  show(text = this.#text) {
    this.#text = text;
    const { state, field, error } = this;
    const focused = this.item.getRootNode().activeElement;
    this.#$(".state").textContent = text;
    const failed = state === "failed";
    this.#$(".problem").hidden = !failed;
    this.#$("progress").hidden = !this.isOpen;
    const paused = state === "paused";
    const offered = {
      pause: this.isOpen && !paused && this.#upload && state !== "confirming",
      resume: paused,
      cancel: this.isOpen,
      "sign-in": failed && error?.signedOut,
      retry: failed && error?.retry,
      dismiss: failed,
      replace: !this.isOpen && !failed && !field.isList && !field.isFixed,
      remove: !this.isOpen && !failed && !field.isFixed,
    };
    this.#buttons["sign-in"].href = field.getAttribute("sign-in") ?? location.href;
    for (const [name, is] of Object.entries(offered)) this.#buttons[name].hidden = !is;
    if (focused?.hidden && this.item.contains(focused)) this.focus();
  }

  async #picture() {
    const instead = badge(this.filename, say("nameless").toLowerCase());
    const thumb = this.#$(".thumb");
    thumb.replaceChildren(instead);
    if (this.src) {
      const image = new Image();
      image.alt = "";
      image.onerror = () => thumb.replaceChildren(instead);
      image.src = this.src;
      thumb.replaceChildren(image);
    } else if (this.file) {
      thumb.replaceChildren((await picture(this.file)) ?? instead);
    }
  }
}
