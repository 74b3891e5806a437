/** Requests to the bucket: how many at once, and what they end with. */

import { readable } from "./reading.js";
import { answers, isTransient, leavesOut, UploadError } from "./service.js";

// Milliseconds: after a quicker request one more may run at once, after a slower one fewer.
const QUICK = 2_000;
const SLOW = 8_000;

/**
 * A limit on requests to the bucket at once: two at first, more on a quick connection, fewer on a
 * slow one and after failures, because a broken connection loses the requests under way.
 */
export class Slots {
  busy = 0;
  waiting = [];

  constructor(most) {
    this.most = most;
    this.#allow(2);
  }

  /** Run `work` when a slot is free; its argument releases the slot before it ends. */
  async run(work, signal) {
    if (this.busy >= this.limit) await new Promise((resolve) => this.waiting.push(resolve));
    else this.busy += 1;
    const begun = Date.now();
    let held = 1;
    const leave = () => {
      this.busy -= held;
      held = 0;
      while (this.busy < this.limit && this.waiting.length) {
        this.busy += 1;
        this.waiting.shift()();
      }
    };
    try {
      signal.throwIfAborted();
      const result = await work(leave);
      const took = Date.now() - begun;
      if (took < QUICK) this.#allow(this.limit + 1);
      else if (took > SLOW && this.limit > 2) this.#allow(this.limit - 1);
      return result;
    } catch (error) {
      if (isTransient(error.status)) this.#allow(this.limit >> 1);
      throw error;
    } finally {
      leave();
    }
  }

  #allow(limit) {
    this.limit = Math.max(1, Math.min(limit, this.most));
  }
}

/** The request that sends a file whole, as the service says: a PUT, or a form. */
export function requestOf({ fields, ...request }, file) {
  if (!fields) return { ...request, body: file };
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) form.append(name, value);
  form.append("file", file); // S3 ignores every field after this one
  return { ...request, body: form };
}

/**
 * Send what `prepare` gives when both limits allow it: a request, or nothing where its bytes have
 * arrived. `onLeft` is called when all of them have left; then they count no longer in `room`.
 */
export function transmit(prepare, { file, slots, room, signal, onLeft, ...how }) {
  const sendNow = async (leave) => {
    const left = () => {
      onLeft();
      leave();
    };
    how.onSent(0);
    try {
      const request = await prepare();
      signal.throwIfAborted();
      if (request) await send({ ...request, ...how, signal, onLeft: left });
    } catch (error) {
      // Perhaps the file cannot be read any more, and then no retry helps.
      if (error.status === 0) await readable(file.slice(0, 1));
      throw error.unanswered ? await refused(error) : error;
    }
  };
  const inTurn = (leave) => slots.run(() => sendNow(leave), signal);
  return room.run(inTurn, signal);
}

/** Send a body to the bucket by XMLHttpRequest, because fetch has no upload progress. */
function send({ method, url, headers = {}, body, signal, stall, onSent, onLeft }) {
  return new Promise((/** @type {(value?: undefined) => void} */ resolve, reject) => {
    const request = new XMLHttpRequest();
    let timer;
    let sent = 0;
    const abort = () => request.abort();
    const alive = (milliseconds) => {
      clearTimeout(timer);
      timer = setTimeout(abort, milliseconds);
    };
    request.open(method, url);
    for (const [name, value] of Object.entries(headers)) {
      // The browser itself sends the length, and lets no page set it.
      if (!/^content-length$/i.test(name)) request.setRequestHeader(name, value);
    }
    request.upload.onprogress = ({ loaded }) => {
      alive(stall);
      sent = loaded;
      onSent(loaded);
    };
    request.upload.onload = () => {
      alive(5 * stall); // the store may need time to assemble it
      onLeft();
    };
    request.onload = () => {
      const { status, responseText } = request;
      // 412: the URL may only create, and an earlier attempt had arrived.
      if (status < 300 || status === 412) resolve();
      else reject(refusal(status, responseText, request.getAllResponseHeaders()));
    };
    request.onloadend = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", abort);
      // No effect after `onload`.
      reject(
        signal.aborted
          ? signal.reason
          : new UploadError(
              "The file could not be sent",
              "The connection to the bucket failed. Check the connection and try again.",
              { unanswered: { url: url.split("?")[0], sent }, type: "bucket-unreachable" },
            ),
      );
    };
    signal.addEventListener("abort", abort);
    alive(stall);
    request.send(body);
  });
}

/**
 * The error for an upload that got no answer, which retries would only repeat where the bucket's
 * rules for other origins (CORS) leave this page out. Then no byte leaves: the browser asks first.
 */
async function refused(error) {
  const { url, sent } = error.unanswered;
  if (sent || !(await leavesOut(url))) return error;
  return new UploadError(
    "The bucket does not let this page in",
    `Its rules for other origins (CORS) lack ${globalThis.origin}: add it to CLAIMCHECK_CORS_ORIGINS, and run "claimcheck bucket apply".`,
    { cause: error, again: 0 },
  );
}

/**
 * A better account of an upload that got no answer in all its retries. The bucket is asked without
 * a signature, which it refuses, but by the same rules for other origins.
 */
export async function explained(error, service) {
  const { url, sent } = error.unanswered;
  let detail;
  if (!(await answers(url, "cors"))) {
    if (!(await answers(`${service}livez`))) return error;
    detail = `The service answers, but the bucket at ${new URL(url).origin} does not. Try again later, or from another network; if it never answers, its address may be one that browsers cannot reach.`;
  } else if (sent) {
    detail =
      "The bucket answers this page, but the connection broke whenever the file was on its way. Try again later, or from another network.";
  } else {
    // Chromium sends no byte of a file whose time it finds changed (ERR_UPLOAD_FILE_CHANGED), and on
    // Android it may find so of files of other apps and clouds, which it reads nevertheless.
    detail =
      "The bucket answers this page, but no byte of the file left the browser. The file may have changed since it was chosen, or belong to another app or a cloud: save it on this device and choose it again. Or something on this device or in its network stops uploads, or the bucket's rules for other origins (CORS) lack a method or a header.";
  }
  return new UploadError(error.title, detail, { cause: error });
}

/** An UploadError from S3's XML: <Error><Code/><Message/></Error>. */
function refusal(status, xml, headers) {
  const [code, message] = ["Code", "Message"].map((n) => xml.match(`<${n}>([^<]*)</${n}>`)?.[1]);
  const why = [code, message].filter(Boolean).join(": ") || `status ${status}`;
  const later = isTransient(status) || code === "RequestTimeout";
  return new UploadError("The bucket refused the file", `${why}.`, {
    status,
    gone: status === 404, // NoSuchUpload
    wait: Number(/^retry-after: *(\d+)/im.exec(headers)?.[1]) * 1000,
    retry: later || status === 400 || status === 403,
    // Most likely an expired signature: each retry is signed anew, so one is enough.
    again: later ? undefined : 1,
  });
}
