/** A small picture of a chosen file, or its extension where there is none. */

const BITMAP_LIMIT = 50 << 20; // 50 MiB: the whole image is decoded
const SIDE = 112; // pixels

/** The end of a file's name in an element, for where there is no picture. */
export function badge(filename, otherwise) {
  const element = document.createElement("span");
  const [, extension] = /\.([a-z0-9]{1,4})$/i.exec(filename) ?? [];
  element.textContent = extension?.toLowerCase() ?? otherwise;
  return element;
}

/**
 * A canvas with the middle of an image file; null for other files, large ones, and such as this
 * browser cannot read. It is decoded here, which no Content-Security-Policy forbids.
 */
export async function picture(file) {
  if (!file.type.startsWith("image/") || file.size > BITMAP_LIMIT) return null;
  try {
    const bitmap = await createImageBitmap(file);
    const side = Math.min(bitmap.width, bitmap.height); // as with object-fit: cover
    const at = [(bitmap.width - side) / 2, (bitmap.height - side) / 2, side, side];
    const canvas = Object.assign(document.createElement("canvas"), { width: SIDE, height: SIDE });
    canvas.getContext("2d").drawImage(bitmap, ...at, 0, 0, SIDE, SIDE);
    bitmap.close();
    return canvas;
  } catch {
    return null;
  }
}
