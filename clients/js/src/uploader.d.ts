/** Claimcheck's uploader: files of any size from a browser straight into the bucket. */

import type { Problem, ProblemType } from "./problems.d.ts";

export type { Problem, ProblemMembers, ProblemType } from "./problems.d.ts";

/** A value, or a function that returns it, called before each request to the service. */
export type Given<T> = T | (() => T | Promise<T>);

/** Where unfinished uploads are remembered; `localStorage` is one. */
export type Remembering = Pick<Storage, "getItem" | "setItem" | "removeItem">;

export interface UploaderOptions {
  /** Address of the service. Default: where this module was loaded from. */
  endpoint?: string;
  /** Name of the destination, unless `upload` names another. */
  destination?: string;
  /** Sent as `Authorization: Bearer`. After a 401 the request is repeated once, with a new value. */
  token?: Given<string | null | undefined>;
  /**
   * Further headers for the service; the bucket gets none of them. docs/browser.md lists those that
   * a service of another origin allows.
   */
  headers?: Given<HeadersInit | undefined>;
  /** The most files, and requests to the bucket, at once. Default: 4. */
  parallel?: number;
  /** Failures of a request in a row after which its upload fails. Default: 8, about a minute. */
  retries?: number;
  /** Milliseconds without progress after which a request is repeated. Default: 60,000. */
  stall?: number;
  /**
   * Announce the SHA-256 of files up to this many bytes; they are read into memory. Default: 0.
   * The file's `checksum_verified` says whether it was verified.
   */
  sha256?: number;
  /**
   * Default: `localStorage`. `null`: no upload continues after a reload, as on pages of plain http,
   * where the browser can compute no SHA-256 to know a file by.
   */
  storage?: Remembering | null;
}

export interface UploadOptions {
  destination?: string;
  /** Default: the file's. A Blob has none. */
  filename?: string;
  /** Default: the file's. Where that is empty too, the service guesses from the extension. */
  contentType?: string;
  /**
   * Where the file lies in the folder that it was chosen with, which the service keeps. Default: its
   * `webkitRelativePath`.
   */
  path?: string;
  /** Up to 20 names and values of your own, 2 KiB of JSON in all. */
  metadata?: Record<string, string | number | boolean>;
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

/**
 * In bytes. `loaded` stands still while bytes of a failed request are sent again. It decreases only
 * where an upload begins afresh, or goes on after a pause: by what had not arrived.
 */
export interface Progress {
  loaded: number;
  total: number;
  state: UploadState;
  /** Bytes a second, the mean of the last eight seconds; 0 where nothing is sent, or too little yet. */
  speed: number;
  /** What the rest takes at this speed; null where there is none. */
  secondsLeft: number | null;
}

/** An upload: the promise of its file, with methods to control it. */
export interface Upload extends Promise<StoredFile> {
  readonly file: Blob;
  /** Stop sending. Parts that arrived stay; requests under way are repeated later. */
  pause(): void;
  resume(): void;
  /**
   * Stop for good: the promise is rejected with an `AbortError`, and the bytes are removed.
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
  /** The permanent name of the object; it gives no access. */
  url: string;
  filename: string;
  /** Where it lay in the folder that was uploaded. */
  path: string | null;
  metadata: Record<string, string | number | boolean>;
  content_type: string;
  /** As its header says; null unless it is an image of a destination with `max_pixels`. */
  image: {
    /** As the pixels are stored, before they are turned. */
    width: number;
    height: number;
    /** As Exif numbers it; from 5 on width and height change places. */
    orientation: number;
    animated: boolean;
  } | null;
  /** As its directory says; null unless it is an archive of a destination with `archives`. */
  archive: {
    /** False: nothing else is known. */
    judged: boolean;
    entries: number | null;
    unpacked_size: number | null;
    encrypted: boolean | null;
    symlinks: boolean | null;
  } | null;
  size: number;
  /** Base64; the client's claim, unless `checksum_verified`. */
  checksum_sha256: string | null;
  /** Whether the bucket itself computed it, which it never does for files in parts. */
  checksum_verified: boolean;
  /** Whether each part, or the one request, was compared with the MD5 announced for it. */
  parts_verified: boolean;
  etag: string | null;
  version_id: string | null;
  created_at: string;
  confirmed_at: string;
  /** What a virus scanner said of it; null where none is asked. */
  scan: "pending" | "clean" | "infected" | "failed" | null;
  /** A link for reading, which expires; null until a scanner has found the file clean. */
  presigned_url: string | null;
  presigned_url_expires_at: string | null;
  /** True where the link may end before that, with credentials whose end nobody knows. */
  may_end_sooner?: boolean;
  /** A path for `<img src>`; with `&reader=script` it answers with a link for scripts. */
  content_url: string | null;
  [more: string]: unknown;
}

/** A failure with a message for people. */
export declare class UploadError extends Error {
  constructor(title: string, detail: string, more?: object);
  readonly title: string;
  readonly detail: string;
  /** The HTTP status of the service or the bucket; 0 without an answer. */
  readonly status: number;
  /** The problem's slug, such as `size-not-allowed`; only from the service. */
  readonly type?: ProblemType | (string & {});
  /** The whole problem (RFC 9457), with its further members; only from the service. */
  readonly problem?: Problem & Record<string, unknown>;
  /** Whether the same upload may succeed later. */
  readonly retry: boolean;
}

export declare class Uploader {
  constructor(options?: UploaderOptions);
  /** Uploads that begin together are announced together. */
  upload(file: Blob, options?: UploadOptions): Upload;
  /**
   * Another request to the service, such as `("GET", "v1/files?limit=10")`, with the same headers,
   * retries and errors; its JSON, or null. `retries` defaults to the uploader's.
   */
  request<T = unknown>(
    method: string,
    path: string,
    options?: { body?: unknown; signal?: AbortSignal; retries?: number },
  ): Promise<T>;
  /** Upload each file, in order; `Promise.allSettled` waits for all of them. */
  uploadAll(files: Iterable<Blob>, options?: UploadOptions): Upload[];
}

export interface UploadsOptions extends UploaderOptions {
  /** One upload at a time: another one takes its place, and cancels it if it is under way. */
  single?: boolean;
}

/** An upload as a list shows it; another object after each change. */
export interface UploadItem extends Omit<Progress, "state"> {
  /** Unique in its list. */
  readonly id: number;
  readonly file: Blob;
  readonly name: string;
  readonly state: UploadState | "stored" | "failed" | "cancelled";
  /** The file at the service, once it is stored. */
  readonly stored: StoredFile | null;
  /** Why it failed: an `UploadError`, or what `token` or `headers` threw. */
  readonly error: Error | null;
  /** The upload itself; the same promise until a retry. */
  readonly promise: Upload;
  pause(): void;
  resume(): void;
  /** Begin it again after it failed; what had arrived stays. */
  retry(): void;
  cancel(): Promise<boolean>;
  /** Take it off the list, and cancel it if it is under way. */
  remove(): void;
}

/** A list of uploads for a user interface to show; its functions need no `this`. */
export declare class Uploads {
  constructor(options?: UploadsOptions);
  readonly single: boolean;
  /** The uploads in order: another array after each change, at most some twelve a second. */
  readonly snapshot: () => readonly UploadItem[];
  /** Call `listener` after each change; returns a function that ends that. */
  readonly subscribe: (listener: () => void) => () => void;
  /** Begin to upload. A file object that is in the list is not begun twice. */
  readonly add: (files: Iterable<Blob>, options?: UploadOptions) => UploadItem[];
  /**
   * Begin to upload what was dropped or pasted, files in folders with their paths. To be called
   * within the event. Rejects after all others have begun where one of them cannot be read.
   */
  readonly addFrom: (transfer: DataTransfer, options?: UploadOptions) => Promise<UploadItem[]>;
  /** Take off the list those that have ended. */
  readonly clear: () => void;
}
