import AwsS3 from "@uppy/aws-s3";
import Uppy from "@uppy/core";
import Dashboard from "@uppy/dashboard";
import GoldenRetriever from "@uppy/golden-retriever";
import "@uppy/core/css/style.min.css";
import "@uppy/dashboard/css/style.min.css";

const api = "http://127.0.0.1:8000";
const destination = "images";
const token = "any"; // of an upload session; `make run` needs none

const uppy = new Uppy({ restrictions: { allowedFileTypes: ["image/*"] } });
uppy.use(Dashboard, {
  inline: true,
  target: "#dashboard",
  width: "100%",
  showLinkToFileUploadResult: true,
});
uppy.use(GoldenRetriever); // after a reload it goes on
uppy.use(AwsS3, {
  companionEndpoint: `${api}/uppy/${token}/to/${destination}`,
  shouldUseMultipart: (file) => file.size > 10_000_000,
});
// Then the service checks the size and the type before a byte is sent.
uppy.on("file-added", (file) => uppy.setFileMeta(file.id, { size: file.size }));
// The bytes are in the bucket. Now they become files; what the service refuses has failed.
uppy.addPostProcessor((ids) => Promise.all(ids.map(store)));

async function store(id) {
  const file = uppy.getFile(id);
  if (!file?.response || file.error) return; // taken out, or not sent
  try {
    const answer = await fetch(`${api}/v1/files`, {
      method: "POST",
      headers: { Authorization: `Bearer ${token}`, "Content-Type": "application/json" },
      body: JSON.stringify({ destination, key: file.response.body.key }),
    });
    const stored = await answer.json();
    if (!answer.ok) throw new Error(stored.detail);
    // Keep stored.id or stored.url. The link, on the picture, expires.
    uppy.setFileState(id, { uploadURL: stored.presigned_url });
  } catch (error) {
    uppy.emit("upload-error", file, error);
  }
}
