/** What there is of the words in each language, as JSON: names, values and forms. */

import { readdir, readFile } from "node:fs/promises";

const folder = new URL("../../clients/js/src/words/", import.meta.url);
const found = {};
for (const name of (await readdir(folder)).sort()) {
  const tag = name.replace(".js", "");
  const code = await readFile(new URL(name, folder), "utf8");
  const file = await import(`data:text/javascript,${encodeURIComponent(code)}`);
  const rules = new Intl.PluralRules(tag);
  const forms = new Set(Array.from({ length: 200 }, (_, count) => rules.select(count)));
  const names = [...code.matchAll(/^ {2}"([^"]+)":/gm)].map(([, key]) => key);
  found[tag] = { texts: file.default, forms: [...forms].sort(), names };
}
console.log(JSON.stringify(found));
