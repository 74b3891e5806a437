/** MD5s, made in a worker, with code that is loaded when the first one is wanted. */

import { readable } from "./reading.js";

const IDLE = 10_000; // milliseconds after which a worker without work is ended

let worker;
let isRefused = false;
let idle;
let count = 0;
const waiting = new Map(); // id -> what takes the digest

/** MD5 of a file, or of a piece of it, in Base64. Throws UploadError where it cannot be read. */
export async function md5Of(blob) {
  const digest = await new Promise((/** @type {(digest?: string) => void} */ resolve) => {
    clearTimeout(idle);
    if (!start()) return resolve();
    const id = ++count;
    waiting.set(id, resolve);
    worker.postMessage({ id, blob });
  });
  if (digest) return digest;
  await readable(blob.slice(0, 1));
  return (await import("../md5.js")).md5(blob); // there is no worker
}

/** Whether there is a worker: a page of another origin than the module's may have none. */
function start() {
  if (worker || isRefused) return !isRefused;
  try {
    worker = new Worker(new URL("./md5-worker.js", import.meta.url), { type: "module" });
  } catch {
    isRefused = true;
    return false;
  }
  worker.onmessage = ({ data: { id, digest } }) => {
    waiting.get(id)(digest);
    waiting.delete(id);
    if (!waiting.size) idle = setTimeout(stop, IDLE);
  };
  worker.onerror = () => {
    isRefused = true;
    stop();
    for (const resolve of waiting.values()) resolve();
    waiting.clear();
  };
  return true;
}

function stop() {
  worker.terminate();
  worker = undefined;
}
