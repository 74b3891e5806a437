#!/usr/bin/env bash
# openapi-typescript writes a required member of `{"type": "null"}` as `gone: null`, but the answer
# that openapi-fetch gives has no such member at all: its helper type `Readable` leaves out members
# whose type, taken without null, extends the marker of what is write-only, and null without null is
# never, which extends everything. `string | null` stays. So a union of answers that are told apart by
# a member which is always null in one of them cannot be narrowed.
# Here it matters to the schema of an announcement that finds an existing file (`upload` is null):
# it is described as nullable, see tests/clients/.
#
# Seen with openapi-typescript 7.13.0, openapi-fetch 0.17.0, TypeScript 5.9.3:
#   declared: gone: null;
#   use.ts(5,8): error TS2339: Property 'gone' does not exist on type '{ id: string; maybe: string | null; }'.
# Expected: no error.
set -euo pipefail
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$scratch"
echo '{"private": true, "type": "module"}' >package.json
npm install --silent --no-audit --no-fund --ignore-scripts \
  openapi-typescript@7.13.0 openapi-fetch@0.17.0 typescript@5.9.3
cat >api.json <<'JSON'
{
  "openapi": "3.1.0",
  "info": {"title": "Things", "version": "1"},
  "paths": {"/thing": {"get": {"responses": {"200": {
    "description": "A thing",
    "content": {"application/json": {"schema": {
      "type": "object",
      "required": ["id", "gone", "maybe"],
      "properties": {
        "id": {"type": "string"},
        "gone": {"type": "null"},
        "maybe": {"type": ["string", "null"]}
      }
    }}}
  }}}}}
}
JSON
npx openapi-typescript api.json -o api.d.ts >/dev/null 2>&1
declared=$(grep -o 'gone: null;' api.d.ts)
echo "declared: $declared"
cat >use.ts <<'TS'
import createClient from "openapi-fetch";
import type { paths } from "./api.js";
const { data } = await createClient<paths>({ baseUrl: "http://127.0.0.1/" }).GET("/thing");
if (data) {
  data.gone;
  data.maybe;
}
TS
said=$(npx tsc --noEmit --strict --target es2022 --module nodenext --skipLibCheck use.ts || true)
echo "$said"
[ "$said" = "use.ts(5,8): error TS2339: Property 'gone' does not exist on type '{ id: string; maybe: string | null; }'." ]
