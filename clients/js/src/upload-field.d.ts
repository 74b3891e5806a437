/** Importing this module defines `<claimcheck-upload>`; docs/upload-field.md describes it. */

/** Its attributes, for the types of templates: JSX of React, say. */
export interface UploadFieldAttributes {
  name: string;
  /** Where to `POST` for an upload session; on the page's own site. */
  session: string;
  /** Types and extensions as in HTML. */
  accept?: string;
  /** Bytes. */
  "max-size"?: number | string;
  multiple?: boolean;
  "max-files"?: number | string;
  required?: boolean;
  disabled?: boolean;
  "csrf-cookie"?: string;
  "csrf-input"?: string;
  deletes?: boolean;
  "csrf-header"?: string;
  /** Where "Sign in" leads. */
  "sign-in"?: string;
}

declare global {
  interface HTMLElementTagNameMap {
    "claimcheck-upload": HTMLElement;
  }
}
