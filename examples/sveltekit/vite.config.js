import { sveltekit } from "@sveltejs/kit/vite";
import { defineConfig } from "vite";

// SvelteKit adds the nonces of its own scripts.
const directives = {
  "default-src": ["none"],
  "script-src": ["self"],
  "style-src": ["self"],
  "style-src-attr": ["unsafe-inline"], // of what tells screen readers that the page is another
  "img-src": ["data:"],
  "connect-src": ["self", "http://127.0.0.1:*"], // the service, and the bucket of `make run`
  "base-uri": ["none"],
  "form-action": ["self"],
  "frame-ancestors": ["none"],
};

export default defineConfig({
  plugins: [sveltekit({ csp: { directives } })],
  server: { port: 5173, strictPort: true },
  preview: { port: 5173, strictPort: true },
});
