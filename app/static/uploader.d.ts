/** Claimcheck's uploader: files of any size from a browser straight into the bucket. */

/** A value, or a function that gives it; it is asked before each request to the service. */
export type Given<T> = T | (() => T | Promise<T>);

/** Where unfinished uploads are remembered; `localStorage` is one. */
export type Remembering = Pick<Storage, "getItem" | "setItem" | "removeItem">;

export interface UploaderOptions {
  /** Address of the service. Default: where this module was loaded from. */
  endpoint?: string;
  /** Name of the destination, unless `upload` names another. */
  destination?: string;
  /** Sent as `Authorization: Bearer`. A 401 is tried once more, with what the function gives then. */
  token?: Given<string | null | undefined>;
  /**
   * Further headers for the service; the bucket gets none of them. Of another origin it takes those
   * that docs/browser.md names.
   */
  headers?: Given<HeadersInit | undefined>;
  /** Files, and requests to the bucket, that are under way at most. Default: 4. */
  parallel?: number;
  /** How often in a row a request may fail before its upload does. Default: 8, about a minute. */
  retries?: number;
  /** Milliseconds without a byte leaving after which a request is begun anew. Default: 60,000. */
  stall?: number;
  /**
   * Announce the SHA-256 of files up to this many bytes; they are read into memory. Default: 0.
   * Whether it was verified is said by the file's `checksum_verified`.
   */
  sha256?: number;
  /** Default: `localStorage`. `null`: nothing goes on after a reload. */
  storage?: Remembering | null;
}

export interface UploadOptions {
  destination?: string;
  /** Default: the file's. A Blob has none. */
  filename?: string;
  /** Default: the file's. Where that is empty too, the service goes by the extension. */
  contentType?: string;
  onProgress?: (progress: Progress, file: Blob) => void;
  /** Aborting it cancels the upload. */
  signal?: AbortSignal;
}

export type UploadState =
  | "waiting"
  | "hashing"
  | "sending"
  | "retrying"
  | "offline"
  | "paused"
  | "confirming";

/** Bytes. `loaded` may fall: what a failed request had sent is sent again. */
export interface Progress {
  loaded: number;
  total: number;
  state: UploadState;
}

/** An upload that has begun: the promise of its file, and what can be done to it meanwhile. */
export interface Upload extends Promise<StoredFile> {
  readonly file: Blob;
  /** Stop sending. Parts that arrived stay; what is under way is sent again. */
  pause(): void;
  resume(): void;
  /**
   * Stop for good: the promise is rejected with an `AbortError`, and what arrived is removed.
   * Resolves to false if the upload had become a file before.
   */
  cancel(): Promise<boolean>;
}

/** A file as the service describes it (`File` in its OpenAPI document). */
export interface StoredFile {
  id: string;
  state: string;
  destination: string;
  key: string;
  /** For keeping; it gives no access. */
  url: string;
  filename: string;
  content_type: string;
  size: number;
  /** Base64; what the client announced, unless `checksum_verified`. */
  checksum_sha256: string | null;
  /** Whether the bucket itself computed it. Of a file that went in parts it never does. */
  checksum_verified: boolean;
  etag: string | null;
  version_id: string | null;
  created_at: string;
  confirmed_at: string;
  /** For reading; it expires. */
  presigned_url: string;
  presigned_url_expires_at: string;
  [more: string]: unknown;
}

/** A failure in words that a person can act on. */
export declare class UploadError extends Error {
  readonly title: string;
  readonly detail: string;
  /** HTTP status of the service or the bucket; 0 when none answered. */
  readonly status: number;
  /** The problem's slug, `size-not-allowed` for one; only from the service. */
  readonly type?: string;
  /** The whole problem (RFC 9457), with its further members; only from the service. */
  readonly problem?: Record<string, unknown>;
  /** Whether the same upload may work later. */
  readonly retry: boolean;
}

export declare class Uploader {
  constructor(options?: UploaderOptions);
  /** Uploads that are begun together are announced together. */
  upload(file: Blob, options?: UploadOptions): Upload;
  /**
   * Another request to the service, `("GET", "v1/files?limit=10")` for one, with the same headers,
   * retries and errors; its JSON, or null. `retries` defaults to the uploader's.
   */
  request<T = unknown>(
    method: string,
    path: string,
    options?: { body?: unknown; signal?: AbortSignal; retries?: number },
  ): Promise<T>;
  /** `upload` of each, in order; `Promise.allSettled` waits for all of them. */
  uploadAll(files: Iterable<Blob>, options?: UploadOptions): Upload[];
}
