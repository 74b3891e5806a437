/** The bytes of every program here. */
export const bytes = new Blob(["hello\n"], { type: "text/plain" });

declare const process: { env: Record<string, string | undefined> };

/** A value that the test hands over. */
export function given(name: string): string {
  const value = process.env[name];
  if (value === undefined) throw new Error(`${name} is not set`);
  return value;
}

/** Send the bytes to the bucket with the form of an announcement. */
export async function send(form: { url: string; fields: { [name: string]: string } }) {
  const body = new FormData();
  for (const [name, value] of Object.entries(form.fields)) body.append(name, value);
  body.append("file", bytes);
  const answer = await fetch(form.url, { method: "POST", body });
  if (answer.status !== 201) throw new Error(await answer.text());
}
