/** Importing this module defines `<claimcheck-upload>`; docs/upload-field.md has its attributes. */
export {};
