/** One upload: announce it to the service, send it to the bucket, have the service confirm it. */

import { call, Problem } from "./api.js";

const CONFIRM_DELAYS = [300, 700, 1500, 3000]; // milliseconds between tries
// Browsers set these themselves and refuse to have them set.
const BROWSER_HEADERS = new Set(["content-length", "host"]);

export class Upload {
  #announced = null; // the service's answer: {id, upload: {method, url, fields | headers}}
  #sent = false;

  constructor(file, destination) {
    this.file = file;
    this.destination = destination;
  }

  /**
   * Take the upload to its end and return the file as the service describes it. After a failure,
   * calling it again goes on where that makes sense: what has arrived is not sent twice.
   * `onProgress` gets the number of bytes sent. Throws a Problem, or `signal`'s reason.
   */
  async run({ onProgress, signal }) {
    try {
      if (!this.#announced) {
        const { name, size, type } = this.file;
        const body = { destination: this.destination, filename: name, size };
        if (type) body.content_type = type;
        this.#announced = await call("POST", "v1/uploads", { body, signal });
      }
      if (!this.#sent) {
        await send(this.#announced.upload, this.file, { onProgress, signal });
        this.#sent = true;
      }
      return await confirm(this.#announced.id, signal);
    } catch (error) {
      // An answer (other than "later") means that this announcement leads nowhere: begin afresh.
      const later = error.status >= 500 || [409, 429].includes(error.status);
      if (error.status && !later) this.#forget();
      throw error;
    }
  }

  /**
   * Tell the service that this upload will not come; if that fails, it expires by itself. False if
   * it had become a file in the meantime.
   */
  async abandon() {
    const id = this.#announced?.id;
    this.#forget();
    if (!id) return true;
    return call("DELETE", `v1/uploads/${id}`).then(
      () => true,
      (error) => error.status !== 409,
    );
  }

  #forget() {
    this.#announced = null;
    this.#sent = false;
  }
}

async function confirm(id, signal) {
  for (const delay of CONFIRM_DELAYS) {
    try {
      return await call("POST", `v1/uploads/${id}/confirm`, { signal });
    } catch (error) {
      // 409: the bucket does not show the object yet.
      if (!error.retry) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, delay));
    signal.throwIfAborted();
  }
  return call("POST", `v1/uploads/${id}/confirm`, { signal });
}

/** XMLHttpRequest, because fetch does not report how much of a body has left. */
function send({ method, url, fields, headers }, file, { onProgress, signal }) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open(method, url);
    let body = file;
    if (method === "POST") {
      body = new FormData();
      for (const [name, value] of Object.entries(fields)) body.append(name, value);
      body.append("file", file); // S3 ignores every field after this one
    } else {
      for (const [name, value] of Object.entries(headers)) {
        if (!BROWSER_HEADERS.has(name.toLowerCase())) request.setRequestHeader(name, value);
      }
    }
    request.upload.onprogress = ({ loaded }) => onProgress(Math.min(loaded, file.size));
    request.onload = () => {
      // 412 on a PUT that may only create: an earlier try had arrived after all.
      const arrived = method === "PUT" && request.status === 412;
      if (arrived || (request.status >= 200 && request.status < 300)) resolve();
      else reject(bucketProblem(request));
    };
    request.onerror = () =>
      reject(
        new Problem(
          "The file could not be sent",
          "The connection to the bucket failed, or the bucket does not allow uploads from this page (CORS), or the file changed on disk. Check the connection and try again.",
        ),
      );
    request.onabort = () => reject(signal.reason);
    signal.throwIfAborted();
    signal.addEventListener("abort", () => request.abort(), { once: true });
    request.send(body);
  });
}

/** S3 says what is wrong in XML: <Error><Code/><Message/></Error>. */
function bucketProblem({ status, responseText }) {
  const xml = new DOMParser().parseFromString(responseText, "application/xml");
  const code = xml.querySelector("Code")?.textContent;
  const message = xml.querySelector("Message")?.textContent;
  const why = [code, message].filter(Boolean).join(": ") || `status ${status}`;
  return new Problem("The bucket refused the file", `${why}.`, { status });
}
