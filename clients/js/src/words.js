/**
 * Texts, numbers, times, sizes and types for the service's pages and the upload field, in the
 * language that `speak` chose: a file each in words/, loaded only where it is chosen. In English,
 * `app/core/words.py` writes sizes and types alike.
 */

import english from "./words/en.js";

// Written out, so that bundlers find them.
const FILES = {
  ar: () => import("./words/ar.js"),
  de: () => import("./words/de.js"),
  es: () => import("./words/es.js"),
  fr: () => import("./words/fr.js"),
  ja: () => import("./words/ja.js"),
  pt: () => import("./words/pt.js"),
};
const RIGHT_TO_LEFT = ["ar"];

const base = (one) => one.toLowerCase().split("-")[0];

/** Whether it is a language tag at all: pages have all sorts of things in `lang`. */
function isTag(one) {
  try {
    return Boolean(Intl.getCanonicalLocales(one).length);
  } catch {
    return false;
  }
}

let texts = english;
let tag; // of numbers, times and plurals; undefined: the browser's own
let chosen;

/**
 * Choose the first of these language tags (BCP 47) that there are texts for; English without one.
 * The first call decides for the whole document. Returns a promise while a file has to be loaded,
 * else undefined; where that fails it is English.
 */
export function speak(tags = navigator.languages) {
  if (chosen) return chosen.loading;
  const known = (one) => base(one) === "en" || Object.hasOwn(FILES, base(one));
  tag = tags.filter(isTag).find(known) ?? "en";
  chosen = {};
  const load = FILES[base(tag)];
  chosen.loading = load?.().then(
    (file) => {
      texts = file.default;
      delete chosen.loading;
    },
    () => {
      tag = "en";
      delete chosen.loading;
    },
  );
  return chosen.loading;
}

/** The language chosen and its direction, for `lang` and `dir`. */
export function language() {
  const lang = tag ?? "en";
  return { lang, dir: RIGHT_TO_LEFT.includes(base(lang)) ? "rtl" : "ltr" };
}

/** The text of that name, with these values; numbers are written as the language does. */
export function say(name, values = {}) {
  let text = texts[name];
  if (typeof text !== "string") {
    text = text[new Intl.PluralRules(tag).select(values.count)] ?? text.other;
  }
  return text.replace(/\{(\w+)\}/g, (_, key) => {
    const value = values[key];
    return typeof value === "number" ? new Intl.NumberFormat(tag).format(value) : value;
  });
}

/** Whether there is a text of that name. */
export const knows = (name) => Object.hasOwn(texts, name);

/**
 * Put texts into a tree: `data-say="name"` names an element's text, `data-say-label` its aria-label,
 * `data-say-title` its title.
 */
export function sayIn(root) {
  for (const { content } of root.querySelectorAll("template")) sayIn(content);
  for (const one of root.querySelectorAll("[data-say]")) one.textContent = say(one.dataset.say);
  for (const one of root.querySelectorAll("[data-say-label]")) one.ariaLabel = say(one.dataset.sayLabel);
  for (const one of root.querySelectorAll("[data-say-title]")) one.title = say(one.dataset.sayTitle);
}

/** A size in powers of 1024, like the settings, the documents and S3's limits. */
export function bytes(count) {
  let power = 0;
  while (count >= 999.5 && power < 4) {
    count /= 1024;
    power += 1;
  }
  const number = new Intl.NumberFormat(tag, { maximumSignificantDigits: 3 }).format(count);
  return power ? say("size", { number, unit: texts.units.split(" ")[power - 1] }) : say("byte", { count });
}

/** Two sizes that differ, to the byte where the rounded ones would be the same. */
function twoSizes(...sizes) {
  const [one, other] = sizes.map(bytes);
  return one === other ? sizes.map((count) => say("byte", { count })) : [one, other];
}

/** The name in isolates (U+2068, U+2069), so that one of another direction does not reorder the text. */
export function quoted(name) {
  return say("quoted", { text: `\u2068${name}\u2069` });
}

/** Types and extensions as text: `image/*` is "any image". */
export function kinds(accepted) {
  const name = (one) => {
    const [, family, type] = /^(.+)\/(.+)$/.exec(one) ?? [];
    if (family === "*") return say("any-type");
    if (type === "*") return say(knows(`any-${family}`) ? `any-${family}` : "any-family", { family });
    if (!type) return one.slice(1).toUpperCase();
    const short = type.replace(/^x-|\+.*$/g, "");
    const known = family !== "text" && /^[a-z0-9-]{1,8}$/i.test(short);
    return known ? short.toUpperCase() : one;
  };
  return new Intl.ListFormat(tag, { type: "disjunction" }).format(accepted.map(name));
}

/** The limits as text: "any image, 1 KiB to 100 MiB"; empty where there are none. */
export function limits({ accepted = [], minSize = 0, maxSize = Infinity }) {
  const said = accepted.length ? [kinds(accepted)] : [];
  if (maxSize < Infinity) {
    const [least, most] = [bytes(minSize), bytes(maxSize)];
    said.push(minSize ? say("between", { least, most }) : say("up-to", { most }));
  }
  return listed(said);
}

/** What stands side by side in a text, "a, b", without what is empty. */
export const listed = (parts) => parts.filter(Boolean).join(texts.comma);

/**
 * Why a file cannot go here, as {title, detail, lang}, or null where it can. It has to fit one of
 * `accepted` (types, `image/*`, extensions with their dots; none: any). A file whose type the
 * browser does not know fits each type: the service guesses it from the name.
 */
export function refusal({ name, type, size }, { accepted = [], minSize = 0, maxSize = Infinity }) {
  const essence = type.split(";")[0].trim().toLowerCase();
  const fits = (one) =>
    one.startsWith(".")
      ? name.trim().toLowerCase().endsWith(one)
      : !essence || (one.endsWith("/*") ? essence.startsWith(one.slice(0, -1)) : essence === one);
  const why = (how, values) => told(how, { file: quoted(name), ...values });
  if (accepted.length && !accepted.some((one) => fits(one.toLowerCase()))) {
    return why("type-refused", { type: type || say("unknown-type"), accepted: kinds(accepted) });
  }
  if (size > maxSize || size < minSize) {
    const [has, limit] = twoSizes(size, size > maxSize ? maxSize : minSize);
    return why(size > maxSize ? "too-large" : "too-small", { has, limit });
  }
  return null;
}

/** A failure's title and detail in the language chosen, as {title, detail, lang}. */
export function told(name, values) {
  return { title: say(name), detail: say(`${name}-detail`, values), lang: language().lang };
}

/**
 * An error as {title, detail, lang}: in the language chosen where there are words for its type, else
 * as it came, which is in English unless it has a `lang` of its own.
 */
export function failure({ title, detail, message, type, lang = "en" }) {
  if (type && knows(`${type}-detail`)) return told(type);
  return { title: title ?? say("wrong"), detail: detail ?? message, lang };
}

/* Times */

const MINUTE = 60;
const STEPS = [
  ["year", 365 * 24 * 60 * MINUTE],
  ["month", 30 * 24 * 60 * MINUTE],
  ["day", 24 * 60 * MINUTE],
  ["hour", 60 * MINUTE],
  ["minute", MINUTE],
];

/** A time where the reader is: the hour alone where it is today's. */
export function moment(at, now = new Date()) {
  const isToday = at.toDateString() === now.toDateString();
  const style = { timeStyle: "short", dateStyle: isToday ? undefined : "medium" };
  return new Intl.DateTimeFormat(tag, style).format(at);
}

/** How long ago, or until when, in words: "3 minutes ago"; "now" within a minute. */
export function ago(at, now = new Date()) {
  const seconds = (at - now) / 1000;
  const step = STEPS.find(([, length]) => Math.abs(seconds) >= length);
  if (!step) return new Intl.RelativeTimeFormat(tag, { numeric: "auto" }).format(0, "second");
  const [unit, length] = step;
  return new Intl.RelativeTimeFormat(tag).format(Math.trunc(seconds / length), unit);
}

/** How long something takes, roughly: "2 min", "40 sec". */
export function duration(seconds) {
  const [unit, length] = STEPS.find(([, step]) => seconds >= step) ?? ["second", 1];
  const how = { style: "unit", unit, unitDisplay: "short", maximumFractionDigits: 0 };
  return new Intl.NumberFormat(tag, how).format(Math.ceil(seconds / length));
}

/**
 * Write a <time>'s `datetime` into it: local, its zone on hover, and how long ago beside it in an
 * element of the class `ago`, which is kept up to date.
 */
export function timeIn(element) {
  const at = new Date(element.dateTime);
  const [date, since] = ["when", "ago"].map((className) =>
    Object.assign(document.createElement("span"), { className }),
  );
  date.textContent = new Intl.DateTimeFormat(tag, { dateStyle: "medium", timeStyle: "short" }).format(at);
  since.textContent = ago(at);
  element.title = new Intl.DateTimeFormat(tag, { dateStyle: "full", timeStyle: "full" }).format(at);
  element.replaceChildren(date, " ", since);
  ticking ??= setInterval(tick, 30_000);
}

let ticking;
function tick() {
  for (const since of document.querySelectorAll("time > .ago")) {
    since.textContent = ago(new Date(since.parentElement.dateTime));
  }
}

/** The reader's time zone, as "Europe/Berlin". */
export const zone = () => new Intl.DateTimeFormat().resolvedOptions().timeZone;
