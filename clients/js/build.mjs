/**
 * Build the package into dist/, and what the service serves of it into app/static/. Which files
 * there are is the same everywhere, byte for byte: a test builds them again.
 *
 *   node build.mjs [folder of the service's copy]
 */

import { execFileSync } from "node:child_process";
import { cp, mkdir, readdir, readFile, rm } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const HERE = dirname(fileURLToPath(import.meta.url));
const SRC = join(HERE, "src");
const DIST = join(HERE, "dist");
const SERVED = process.argv[2] ?? join(HERE, "../../app/static");
const { version } = JSON.parse(await readFile(join(HERE, "package.json"), "utf8"));

/** Files of their own. Each imports the others, and contains whatever else it needs. */
const HASHING = ["md5.js", "md5-worker.js"];
const WORDS = ["words.js", ...(await readdir(join(SRC, "words"))).sort().map((name) => `words/${name}`)];
const PAGES = ["uploader.js", "upload-field.js", "thumbnail.js", ...WORDS, ...HASHING];
const ENTRIES = [...PAGES, "react.js", "vue.js"];
const DECLARED = ["uploader.d.ts", "upload-field.d.ts", "problems.d.ts"];

const apart = (entry) => ({
  name: "apart",
  setup({ onResolve }) {
    onResolve({ filter: /^\./ }, ({ path, resolveDir, kind }) => {
      const name = relative(SRC, join(resolveDir, path));
      if (kind === "entry-point" || !ENTRIES.includes(name)) return undefined;
      const to = relative(dirname(entry), name);
      return { path: to.startsWith(".") ? to : `./${to}`, external: true };
    });
  },
});

await rm(DIST, { recursive: true, force: true });
for (const entry of ENTRIES) {
  const banner = `/*! Claimcheck ${version}, built from clients/js/src/${entry} */`;
  await build({
    entryPoints: [join(SRC, entry)],
    outfile: join(DIST, entry),
    absWorkingDir: HERE,
    bundle: true,
    format: "esm",
    minify: true,
    charset: "utf8",
    target: ["chrome116", "firefox124", "safari17.4"],
    banner: { js: entry === "md5.js" ? banner + (await license("hash-wasm")) : banner },
    external: ["react", "vue"],
    plugins: [apart(entry)],
    logLevel: "warning",
  });
}
run("tsc", "--project", "tsconfig.core.json"); // checks
run("tsc", "--project", "tsconfig.json"); // checks, and declares what react.js and vue.js export
await rm(join(DIST, "handlers.d.ts")); // is in both of them
for (const name of DECLARED) await cp(join(SRC, name), join(DIST, name));
await mkdir(join(SERVED, "words"), { recursive: true });
const served = [...PAGES, "uploader.d.ts", "problems.d.ts"];
for (const name of served) await cp(join(DIST, name), join(SERVED, name));
for (const name of await readdir(SERVED)) if (name.endsWith(".tgz")) await rm(join(SERVED, name));
run("npm", "pack", "--silent", "--ignore-scripts", "--pack-destination", SERVED);

/** What a package asks to be kept with its code, as a comment. */
async function license(name) {
  const text = await readFile(join(HERE, "node_modules", name, "LICENSE"), "utf8");
  return `\n/*! With ${name}:\n\n${text.trim()}\n*/`;
}

function run(program, ...args) {
  const env = { ...process.env, PATH: `${join(HERE, "node_modules/.bin")}:${process.env.PATH}` };
  execFileSync(program, args, { cwd: HERE, env, stdio: ["ignore", "ignore", "inherit"] });
}
