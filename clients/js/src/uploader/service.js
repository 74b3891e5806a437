/** Requests to the service: their headers, retries and errors. */

// Milliseconds before the first retry, at most; doubled for each further one.
const FIRST_WAIT = 1_000;
const LONGEST_WAIT = 30_000;
const SERVICE_TIMEOUT = 60_000; // the service answers within 30 s, or says "later"
const PROBE = 10_000; // milliseconds to wait for a server that is asked whether it answers

/**
 * A failure with a message for people. `status` is the HTTP status, 0 without an answer; `type` is
 * the problem's slug (docs/problems.md), `problem` the whole problem; `retry` says whether the same
 * upload may succeed later.
 */
export class UploadError extends Error {
  /** @type {string} */
  title;
  /** @type {string} */
  detail;
  /** @type {number} */
  status;
  /** @type {boolean} */
  retry;

  /**
   * @param {string} title
   * @param {string} detail
   * @param {object} [more]
   */
  constructor(title, detail, more) {
    super(detail ? `${title}. ${detail}` : title);
    Object.assign(this, { name: "UploadError", title, detail, status: 0, retry: true }, more);
  }
}

/** The value, or the result of calling it if it is a function. */
const given = (value) => (typeof value === "function" ? value() : value);

/** Whether a request that failed with this status may succeed later. */
export const isTransient = (status) => status >= 500 || [0, 408, 409, 425, 429].includes(status);

/** Whether the upload can never succeed. */
export const isLost = ({ status, gone, retry }) =>
  gone || (status >= 400 && status !== 403 && !retry);

/** A new idempotency key. (`randomUUID` is not there on pages of plain http.) */
export const newKey = () => btoa(String.fromCharCode(...crypto.getRandomValues(new Uint8Array(18))));

/** Wait, but not longer than until the browser is online again. Throws the signal's reason. */
function sleep(milliseconds, signal) {
  return new Promise((/** @type {(value?: undefined) => void} */ resolve, reject) => {
    const end = () => {
      clearTimeout(timer);
      removeEventListener("online", end);
      signal?.removeEventListener("abort", end);
      signal?.aborted ? reject(signal.reason) : resolve();
    };
    const timer = setTimeout(end, milliseconds);
    addEventListener("online", end);
    signal?.addEventListener("abort", end);
    if (signal?.aborted) end();
  });
}

/**
 * Whether a server answers a harmless request; in mode "cors", whether it answers this page.
 *
 * @param {string} url
 * @param {RequestMode} mode
 */
export function answers(url, mode = "no-cors") {
  /** @type {RequestInit} */
  const how = { method: "HEAD", mode, cache: "no-store", credentials: "omit" };
  const asked = fetch(url, { ...how, signal: AbortSignal.timeout(PROBE) });
  return asked.then(() => true, () => false);
}

/**
 * Whether a server answers, but its rules for other origins (CORS) leave this page out. Browsers do
 * not say so: to the page it looks like a lost line.
 */
export async function leavesOut(url) {
  if (new URL(url).origin === globalThis.origin) return false;
  // Asked once more at the end, because a line may be lost and found in between.
  const isDeaf = async () => !(await answers(url, "cors"));
  return (await isDeaf()) && (await answers(url)) && (await isDeaf());
}

/** Requests to the service. */
export class Service {
  /** @type {import("../uploader.js").UploaderOptions["headers"]} */
  headers;
  /** @type {import("../uploader.js").UploaderOptions["token"]} */
  token;
  /** @type {number} */
  retries;

  /** @param {import("../uploader.js").UploaderOptions} options */
  constructor({ endpoint, headers, token, retries = 8 }) {
    this.base = new URL(endpoint.replace(/\/*$/, "/"), globalThis.location?.href).href;
    Object.assign(this, { headers, token, retries });
  }

  /**
   * One request; the answer's JSON. Throws an UploadError made from problem+json (RFC 9457). `once`
   * is its idempotency key: a repeat with the same one makes nothing twice.
   *
   * @param {string} method
   * @param {string} path
   * @param {{ body?: unknown, signal?: AbortSignal, once?: string }} [options]
   */
  async ask(method, path, { body, signal, once } = {}) {
    let response, answer;
    try {
      const headers = new Headers(await given(this.headers));
      const token = await given(this.token);
      if (token) headers.set("Authorization", `Bearer ${token}`);
      if (body) headers.set("Content-Type", "application/json");
      if (once) headers.set("Idempotency-Key", `"${once}"`);
      const timeout = AbortSignal.timeout(SERVICE_TIMEOUT);
      response = await fetch(this.base + path, {
        method,
        headers,
        body: body && JSON.stringify(body),
        signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
      });
      // A proxy in between may answer with an HTML page.
      answer = response.status === 204 ? null : JSON.parse(await response.text());
    } catch (cause) {
      signal?.throwIfAborted();
      // A failed status is a failure whatever its body; a success without JSON is one too.
      if (!response && cause instanceof TypeError && (await leavesOut(`${this.base}livez`))) {
        throw new UploadError(
          "The service does not let this page in",
          `It does not know the origin ${globalThis.origin}: add it to CLAIMCHECK_CORS_ORIGINS.`,
          { cause, again: 0 },
        );
      }
      if (!response || response.ok) {
        throw new UploadError(
          "The service cannot be reached",
          "Check the connection, and try again.",
          { cause, type: "service-unreachable" }, // `token` or `headers` may have thrown
        );
      }
    }
    const { status, ok, headers: said } = response;
    if (ok && status !== 202) return answer;
    throw problemError(status, answer, said.get("Retry-After") * 1000);
  }

  /**
   * Repeat `work` (called with the number of failures so far) until it succeeds, fails for good or
   * has failed too often, with exponential backoff and full jitter in between.
   *
   * @template T
   * @param {(failures: number) => Promise<T>} work
   * @param {{ signal?: AbortSignal, tell?: (state: string) => void, retries?: number }} [options]
   * @returns {Promise<T>}
   */
  async persist(work, { signal, tell, retries = this.retries } = {}) {
    const refusals = {}; // counts of failures with a limit of their own, by status
    for (let failures = 0; ; ) {
      try {
        signal?.throwIfAborted();
        return await work(failures);
      } catch (error) {
        signal?.throwIfAborted();
        const { status, again, later } = error;
        // Failures while the browser is offline do not count. But `onLine` may be wrong.
        const offline = tell && !status && navigator.onLine === false;
        const most = offline || later ? Infinity : Math.min(retries, again ?? retries);
        const before = again === undefined ? failures : (refusals[status] ?? 0);
        if (!error.retry || error.gone || error.lacks || before >= most) throw error;
        const backoff = Math.random() * Math.min(LONGEST_WAIT, FIRST_WAIT * 2 ** failures);
        if (!later) tell?.(offline ? "offline" : "retrying");
        if (most < Infinity) {
          failures += 1;
          refusals[status] = before + 1;
        }
        await sleep(offline ? LONGEST_WAIT : error.wait || backoff, signal);
      }
    }
  }

  /**
   * `ask`, with retries.
   *
   * @param {string} method
   * @param {string} path
   * @param {{ body?: unknown, signal?: AbortSignal, once?: string, retries?: number, tell?: (state: string) => void }} [options]
   */
  call(method, path, { body, once, ...how } = {}) {
    return this.persist(() => this.ask(method, path, { body, once, signal: how.signal }), how);
  }
}

/** An UploadError from the service's problem; `wait` is Retry-After in milliseconds, or 0. */
export function problemError(status, problem, wait) {
  const type = /[^:/]*$/.exec(problem?.type ?? "")[0];
  const later = status === 202; // the service is still working on it
  // A 404 that is no problem comes from a router that has no service behind it, or from another one.
  const isLost = status === 404 && !type;
  return new UploadError(
    problem?.title ?? `The service answered with status ${status}`,
    problem?.detail ?? (isLost ? "Is its address right?" : "Try again in a moment."),
    {
      status,
      type,
      problem,
      wait,
      later,
      retry: later || isTransient(status) || status === 401 || isLost,
      again: status === 401 ? 1 : undefined, // `token` may give a newer one
      // The upload is in another state than assumed here: ask the service.
      gone: /-(expired|not-pending|not-found)$|^part-differs$/.test(type),
      lacks: problem?.missing_parts,
    },
  );
}

/** The path if the service keeps it; a file with another one is uploaded without it. */
export function keptPath(path) {
  const relative = path?.replace(/^\//, ""); // entry.fullPath begins with a slash
  if (!relative || relative.length > 1024) return undefined;
  return /\\|^[a-z]:|(^|\/)[\s.]*(\/|$)/i.test(relative) ? undefined : relative;
}
