/* A front end in Vue. */

import { createApp, h } from "vue";
import { useUploads } from "@claimcheck/uploader/vue";

const app = createApp({
  setup() {
    const source = { endpoint: globalThis.endpoint, destination: "files", storage: null };
    const { uploads, isOver, dropProps, inputProps } = useUploads(source);
    return () =>
      h("section", { ...dropProps, "data-over": isOver.value }, [
        h("input", inputProps),
        uploads.value.map(({ id, name, state }) => h("li", { key: id, "data-state": state }, name)),
      ]);
  },
});
app.mount("main");
