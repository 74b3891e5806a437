/** How our pages put numbers, names and types into words. */

const UNITS = ["bytes", "KiB", "MiB", "GiB", "TiB"];

/** In powers of 1024, as settings, documents and S3's own limits have them. */
export function bytes(count) {
  let power = 0;
  while (count >= 999.5 && power < UNITS.length - 1) {
    count /= 1024;
    power += 1;
  }
  const number = new Intl.NumberFormat(undefined, { maximumSignificantDigits: 3 }).format(count);
  return `${number} ${count === 1 && !power ? "byte" : UNITS[power]}`;
}

/** The isolates (U+2068, U+2069) keep a right-to-left name from reordering our sentence. */
export function quoted(name) {
  return `“\u2068${name}\u2069”`;
}

/** Types and extensions as a sentence has them: `image/*` is "any image". */
export function kinds(accepted) {
  const name = (one) => {
    const [, family, type] = /^(.+)\/(.+)$/.exec(one) ?? [];
    if (type === "*") return `any ${family}`;
    return (type ?? one.slice(1)).replace(/^x-|\+.*$/g, "").toUpperCase();
  };
  return new Intl.ListFormat("en", { type: "disjunction" }).format(accepted.map(name));
}
