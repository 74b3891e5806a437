import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

const policy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src data:",
  "connect-src http://127.0.0.1:*", // the service, and the bucket of `make run`
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
];

export default defineConfig({
  plugins: [react()],
  server: { port: 5173, strictPort: true },
  preview: {
    port: 5173,
    strictPort: true,
    headers: { "Content-Security-Policy": policy.join("; ") },
  },
});
