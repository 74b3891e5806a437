/**
 * Whoever has a request's link: the request as they see it, and the upload session that they open
 * with the first file that they send.
 *
 * The link's token stands behind the `#` and stays there, so that the page can be loaded again; from
 * there browsers send it nowhere. The session's token is kept in `localStorage`, by the request's
 * id: with it this browser goes on after a reload, or another day, and sees what it has sent.
 */

import { Uploader } from "../uploader.js";

const KEPT = "claimcheck-request-";

const link = location.hash.slice(1);
let request = null; // as the service showed it last
let session = null; // {token, name, email}; the token is missing until it is opened
let opening = null;

/** The value kept by that key, or null. The browser may deny storage to the page. */
function recall(key) {
  try {
    return JSON.parse(localStorage.getItem(key));
  } catch {
    return null;
  }
}

function keep() {
  try {
    localStorage.setItem(KEPT + request.id, JSON.stringify(session));
  } catch {
    // Then it is known until the page is closed.
  }
}

const asked = (token) => new Uploader({ token });
const byLink = asked(link);
const bySession = asked(() => session.token);

/** Whether the address has a token at all. */
export const isComplete = /^claimcheck_request_[\w-]+$/.test(link);

/** What one says of oneself, as a body for the service. */
const sender = () => ({ name: session.name || null, email: session.email || null });

/** The request now, once a session is open with what was sent. Throws an UploadError. */
export async function look() {
  request ??= await see(byLink);
  session ??= recall(KEPT + request.id) ?? {};
  try {
    request = await see(session.token ? bySession : byLink);
  } catch (error) {
    if (error.status !== 401 || !session.token) throw error;
    delete session.token; // it is over, and so may be the request
    request = await see(byLink);
  }
  return request;
}

const see = (asked) => asked.request("GET", "v1/requests/open", { retries: 0 });

/** What whoever sends has said of themselves in this browser. */
export const name = () => session.name ?? "";
export const email = () => session.email ?? "";

/** Tell who sends, from now on or of what was sent before. Throws an UploadError. */
export async function introduce(name, email) {
  Object.assign(session, { name, email });
  keep();
  if (session.token) await bySession.request("PATCH", "v1/requests/open", { body: sender() });
}

async function open() {
  const { token } = await byLink.request("POST", "v1/requests/open", { body: sender() });
  session.token = token;
  keep();
}

/** The session's token, opened once and shared by tabs that ask one after the other. */
async function token() {
  Object.assign(session, recall(KEPT + request.id));
  if (!session.token) {
    opening ??= exclusively(async () => {
      Object.assign(session, recall(KEPT + request.id));
      if (!session.token) await open();
    }).finally(() => (opening = null));
    await opening;
  }
  return session.token;
}

/** Run `work` while no other tab does; browsers have no locks on pages of plain http. */
function exclusively(work) {
  return navigator.locks ? navigator.locks.request(KEPT + request.id, work) : work();
}

export const uploader = new Uploader({ token });
