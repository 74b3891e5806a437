/* A front end in React, whose list of uploads outlives what shows it. */

import { StrictMode, Suspense, use, useState } from "react";
import { createRoot, hydrateRoot } from "react-dom/client";
import { Uploads } from "@claimcheck/uploader";
import { useUpload } from "@claimcheck/uploader/react";
import { List } from "./list.jsx";

const options = { endpoint: globalThis.endpoint, destination: "files", storage: null };
globalThis.kept = new Uploads(options);

function Stored({ upload }) {
  return <output>{use(upload.promise).filename} is stored</output>;
}

function Single() {
  const { upload, inputProps } = useUpload(options);
  return (
    <div id="single">
      <input {...inputProps} />
      {upload && (
        <Suspense fallback={<i>{upload.name} is on its way</i>}>
          <Stored upload={upload} />
        </Suspense>
      )}
    </div>
  );
}

function App() {
  const [isShown, show] = useState(true);
  globalThis.show = show;
  return (
    <>
      {isShown && <List source={globalThis.kept} />}
      <Single />
    </>
  );
}

const main = document.querySelector("main");
if (main.firstChild) {
  const page = <List source={options} />;
  hydrateRoot(main, <StrictMode>{page}</StrictMode>);
} else {
  createRoot(main).render(<StrictMode><App /></StrictMode>);
}

/** Mount a list of its own, upload files with it, unmount it; weak references to all of them. */
globalThis.round = async (files) => {
  const place = document.createElement("div");
  main.append(place);
  const root = createRoot(place);
  root.render(<StrictMode><List source={options} /></StrictMode>);
  await until(() => place.querySelector("section"));
  drop(place.querySelector("section"), files);
  await until(() => place.querySelectorAll("[data-state=stored]").length === files.length);
  root.unmount();
  place.remove();
};

globalThis.drop = (zone, files) => {
  const dataTransfer = new DataTransfer();
  for (const file of files) dataTransfer.items.add(file);
  zone.dispatchEvent(new DragEvent("drop", { dataTransfer, bubbles: true, cancelable: true }));
};

globalThis.made = (count, name) =>
  Array.from({ length: count }, (_, i) => new File([`${name} ${i}`.repeat(5000)], `${name} ${i}.txt`));

globalThis.until = async (isSo) => {
  while (!isSo()) await new Promise((resolve) => setTimeout(resolve, 20));
};
