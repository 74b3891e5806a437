import { cookies } from "next/headers";

const service = "http://127.0.0.1:8000";
const key = process.env.CLAIMCHECK_KEY ?? "none"; // `make run` needs none

/** The token with which this browser may upload: the same after a reload, so it goes on. */
export async function POST() {
  // Here: is somebody signed in, and may they upload?
  const jar = await cookies();
  const kept = jar.get("upload_session")?.value;
  if (kept) return new Response(kept);
  const answer = await fetch(`${service}/v1/upload-sessions`, {
    method: "POST",
    headers: { Authorization: `Bearer ${key}`, "Content-Type": "application/json" },
    body: JSON.stringify({ destination: "images", max_files: 100, expires_in: 86_400 }),
  });
  if (!answer.ok) return new Response("The upload service made no session.", { status: 502 });
  const { token } = await answer.json();
  // The cookie ends before the session does; only this server reads it.
  jar.set("upload_session", token, { httpOnly: true, maxAge: 43_200, sameSite: "strict" });
  return new Response(token);
}
