/** Numbers, names, types and what is wrong with a file as text, for the service's pages and the
 * upload field; `app/core/words.py` writes sizes and types alike. */

const UNITS = ["bytes", "KiB", "MiB", "GiB", "TiB"];

/** A size in powers of 1024, like the settings, the documents and S3's limits. */
export function bytes(count) {
  let power = 0;
  while (count >= 999.5 && power < UNITS.length - 1) {
    count /= 1024;
    power += 1;
  }
  const number = new Intl.NumberFormat(undefined, { maximumSignificantDigits: 3 }).format(count);
  return `${number} ${count === 1 && !power ? "byte" : UNITS[power]}`;
}

/** Two sizes that differ, to the byte where the rounded ones would be the same. */
function twoSizes(one, other) {
  if (bytes(one) !== bytes(other)) return [bytes(one), bytes(other)];
  return [one, other].map((count) => `${new Intl.NumberFormat().format(count)} bytes`);
}

/** The name in isolates (U+2068, U+2069), so that a right-to-left one does not reorder the text. */
export function quoted(name) {
  return `“\u2068${name}\u2069”`;
}

/** Types and extensions as text: `image/*` is "any image". */
export function kinds(accepted) {
  const name = (one) => {
    const [, family, type] = /^(.+)\/(.+)$/.exec(one) ?? [];
    if (type === "*") return `any ${family}`;
    if (!type) return one.slice(1).toUpperCase();
    const short = type.replace(/^x-|\+.*$/g, "");
    const known = family !== "text" && /^[a-z0-9-]{1,8}$/i.test(short);
    return known ? short.toUpperCase() : one;
  };
  return new Intl.ListFormat("en", { type: "disjunction" }).format(accepted.map(name));
}

/** The limits as text: "any image, 1 KiB to 100 MiB"; empty where there are none. */
export function limits({ accepted = [], minSize = 0, maxSize = Infinity }) {
  const said = accepted.length ? [kinds(accepted)] : [];
  if (maxSize < Infinity) said.push(`${minSize ? `${bytes(minSize)} to` : "up to"} ${bytes(maxSize)}`);
  return said.join(", ");
}

/**
 * Why a file cannot go here, as {title, detail}, or null where it can. It has to fit one of
 * `accepted` (types, `image/*`, extensions with their dots; none: any). A file whose type the
 * browser does not know fits each type: the service guesses it from the name.
 */
export function refusal({ name, type, size }, { accepted = [], minSize = 0, maxSize = Infinity }) {
  const essence = type.split(";")[0].trim().toLowerCase();
  const fits = (one) =>
    one.startsWith(".")
      ? name.trim().toLowerCase().endsWith(one)
      : !essence || (one.endsWith("/*") ? essence.startsWith(one.slice(0, -1)) : essence === one);
  if (accepted.length && !accepted.some((one) => fits(one.toLowerCase()))) {
    return {
      title: "This type of file cannot go here",
      detail: `${quoted(name)} is ${type || "of an unknown type"}. Choose ${kinds(accepted)}.`,
    };
  }
  if (size > maxSize) {
    const [has, most] = twoSizes(size, maxSize);
    const detail = `${quoted(name)}: ${has} is more than the ${most} that may go here.`;
    return { title: "The file is too large", detail };
  }
  if (size < minSize) {
    const [has, least] = twoSizes(size, minSize);
    const detail = `${quoted(name)}: ${has} is less than the ${least} that a file needs here.`;
    return { title: "The file is too small", detail };
  }
  return null;
}
