/** Numbers, names and types as text, for the service's pages and the upload field. */

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

/** The name in isolates (U+2068, U+2069), so that a right-to-left one does not reorder the text. */
export function quoted(name) {
  return `“\u2068${name}\u2069”`;
}

/** Types and extensions as text: `image/*` is "any image". */
export function kinds(accepted) {
  const name = (one) => {
    const [, family, type] = /^(.+)\/(.+)$/.exec(one) ?? [];
    if (type === "*") return `any ${family}`;
    return (type ?? one.slice(1)).replace(/^x-|\+.*$/g, "").toUpperCase();
  };
  return new Intl.ListFormat("en", { type: "disjunction" }).format(accepted.map(name));
}
