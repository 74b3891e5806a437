"use client";

import { Uploads } from "@claimcheck/uploader";
import { useUploads } from "@claimcheck/uploader/react";

// Made outside of the component: uploads go on while nothing shows them.
const pictures = new Uploads({ endpoint: "http://127.0.0.1:8000", destination: "images", token });

async function token() {
  const answer = await fetch("/upload-session", { method: "POST" });
  if (!answer.ok) throw new Error("You may not upload. Sign in again.");
  return answer.text();
}

export default function Pictures() {
  const { uploads, dropProps, inputProps } = useUploads(pictures);
  return (
    <main {...dropProps}>
      <label>
        Choose pictures, or drop them here: <input {...inputProps} />
      </label>
      <ul>
        {uploads.map(({ id, name, state, loaded, total, stored, error }) => (
          <li key={id}>
            {name}: {error ? error.message : state} <progress value={loaded} max={total || 1} />{" "}
            {stored && <a href={stored.presigned_url}>open</a>}
          </li>
        ))}
      </ul>
    </main>
  );
}
