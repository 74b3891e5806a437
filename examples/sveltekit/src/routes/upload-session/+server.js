import { error, text } from "@sveltejs/kit";

const service = "http://127.0.0.1:8000";
const key = process.env.CLAIMCHECK_KEY ?? "none"; // `make run` needs none

/** The token with which this browser may upload: the same after a reload, so it goes on. */
export async function POST({ cookies, fetch }) {
  // Here: is somebody signed in, and may they upload?
  const kept = cookies.get("upload_session");
  if (kept) return text(kept);
  const answer = await fetch(`${service}/v1/upload-sessions`, {
    method: "POST",
    headers: { Authorization: `Bearer ${key}`, "Content-Type": "application/json" },
    body: JSON.stringify({ destination: "images", max_files: 100, expires_in: 86_400 }),
  });
  if (!answer.ok) error(502, "The upload service made no session.");
  const { token } = await answer.json();
  // The cookie ends before the session does; only this server reads it.
  cookies.set("upload_session", token, { path: "/", maxAge: 43_200, sameSite: "strict" });
  return text(token);
}
