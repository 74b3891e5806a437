/** Calls to the service, and the one kind of error that the page shows. */

/**
 * A failure in words that a person can act on. `status` is the HTTP status, 0 when no answer came;
 * `retry` says whether the same call may work later.
 */
export class Problem extends Error {
  constructor(title, detail, { status = 0, retry = true } = {}) {
    super(detail ? `${title}. ${detail}` : title);
    Object.assign(this, { title, detail, status, retry });
  }
}

/**
 * Send `body` as JSON to `path` (relative to the page, so that a path prefix stays) and return the
 * answer's JSON, or null for 204. Throws a Problem made from problem+json (RFC 9457), and whatever
 * `signal` was aborted with.
 */
export async function call(method, path, { body, signal } = {}) {
  let response;
  try {
    response = await fetch(path, {
      method,
      signal,
      headers: { Accept: "application/json", ...(body && { "Content-Type": "application/json" }) },
      body: body && JSON.stringify(body),
    });
  } catch {
    signal?.throwIfAborted();
    throw new Problem("The service cannot be reached", "Check the connection and try again.");
  }
  // A proxy in between may answer with a page of its own.
  const answer = response.status === 204 ? null : await response.json().catch(() => undefined);
  if (response.ok && answer !== undefined) return answer;
  const { status } = response;
  throw new Problem(
    answer?.title ?? `The service answered with status ${status}`,
    answer?.detail ?? "Try again in a moment.",
    { status, retry: status >= 500 || [408, 409, 425, 429].includes(status) },
  );
}
