/* A drop zone with the uploads that it began. */

import { useUploads } from "@claimcheck/uploader/react";

export function List({ source }) {
  const { uploads, isOver, dropProps, pasteProps, inputProps } = useUploads(source);
  return (
    <section {...dropProps} {...pasteProps} data-over={isOver} tabIndex={0}>
      <input {...inputProps} />
      <ul>
        {uploads.map(({ id, name, state, loaded, total }) => (
          <li key={id} data-state={state}>
            {name}: {loaded} of {total}
          </li>
        ))}
      </ul>
    </section>
  );
}
