/** How our pages put numbers, names and types into words. */

export function bytes(count) {
  const units = ["byte", "kilobyte", "megabyte", "gigabyte", "terabyte"];
  let power = 0;
  while (count >= 999.5 && power < units.length - 1) {
    count /= 1000;
    power += 1;
  }
  return new Intl.NumberFormat(undefined, {
    style: "unit",
    unit: units[power],
    unitDisplay: power ? "short" : "long",
    maximumSignificantDigits: 3,
  }).format(count);
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
