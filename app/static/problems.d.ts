/** The problems of the API (RFC 9457). Made from app/errors.py by `make docs`. */

/** The names of each problem's further members, by the end of its `type`. */
export interface ProblemMembers {
  /** 400: The cursor was not made by this service for this list; start again without one. */
  "invalid-cursor": never;
  /** 400: The request could not be parsed at all: send well-formed JSON as application/json. */
  "malformed-request": never;
  /** 401: Say who you are: `Authorization: Bearer` with a JWT, an API key or an upload session. */
  "credential-required": never;
  /** 401: The token is expired, revoked, for somebody else or not genuine; get a new one. */
  "invalid-token": never;
  /** 403: Your credential may not use this destination; GET /v1/destinations lists those it may. */
  "destination-forbidden": never;
  /** 403: Your credential lacks the scope that this takes; `scope` names it. */
  "insufficient-scope": "scope";
  /** 403: The `content_url` has ended or is not ours: get the file's JSON again for a fresh one. */
  "invalid-grant": never;
  /** 403: With `auth = none` the service answers this machine alone, under a loopback host name. */
  "loopback-only": never;
  /** 403: There is no room for this: delete files, confirm or cancel uploads, or ask for more room. */
  "quota-exceeded": "level" | "quota" | "used" | "reserved" | "limit";
  /** 403: Nobody can grant more than they hold: make the key with scopes that your credential has. */
  "scope-not-grantable": "scopes";
  /** 403: The upload session has too few files or bytes left for this; ask for a new session. */
  "upload-session-exhausted": never;
  /** 404: There is no API key with this id among those that you may manage. */
  "api-key-not-found": never;
  /** 404: The event was not for this webhook or is not kept any more; list the webhook's deliveries. */
  "delivery-not-found": never;
  /** 404: No file of yours has this id or URL. */
  "file-not-found": "file_ids";
  /** 404: No request for files of yours has this id, or your credential is not of a request's link. */
  "file-request-not-found": never;
  /** 404: No record of yours has this type and id; it is made when a file is put into it. */
  "record-not-found": never;
  /** 404: No such path, or not with this method; the API is described at /docs. */
  "route-not-found": never;
  /** 404: No such type of records is configured, or none with this field. */
  "unknown-record-field": never;
  /** 404: No upload of yours has this id or key. */
  "upload-not-found": never;
  /** 404: There is no upload session with this id among those that you made. */
  "upload-session-not-found": never;
  /** 404: Your tenant has no webhook with this id; GET /v1/webhooks lists those it has. */
  "webhook-not-found": never;
  /** 405: The path exists, but not with this method; `Allow` lists those it has. */
  "method-not-allowed": never;
  /** 408: The request's headers were not there in time; send them at once. */
  "headers-overdue": never;
  /** 409: A request with this Idempotency-Key made `id` already: use that, or send another key. */
  "already-made": "id";
  /** 409: Records hold this file: take it out of them first; `records` names those that are yours. */
  "file-in-use": "records";
  /** 409: A file or an object with this key exists already; choose another key. */
  "key-taken": never;
  /** 409: Other bytes were announced for a part before, so this is another file: announce it anew. */
  "part-differs": "part_numbers";
  /** 409: The settings limit nothing at this level, so no limit would hold; set CLAIMCHECK_QUOTA. */
  "quotas-not-kept": never;
  /** 409: Another request is removing this file; ask again in a moment. */
  "removal-under-way": never;
  /** 409: Another request with this Idempotency-Key is under way: repeat yours after `Retry-After`. */
  "request-under-way": never;
  /** 409: The file is served once a virus scanner has found it clean: ask again after `Retry-After`. */
  "scan-pending": never;
  /** 409: Your tenant has as many webhooks as one may have: delete one that is not needed. */
  "too-many-webhooks": never;
  /** 409: The multipart upload began too long ago for anything more to be signed; announce it anew. */
  "upload-expired": never;
  /** 409: Not all bytes are there yet: send the rest (`missing_parts`, if in parts), confirm again. */
  "upload-not-arrived": "missing_count" | "missing_parts";
  /** 409: The upload has no parts: send the bytes as `upload` in its announcement said. */
  "upload-not-multipart": never;
  /** 409: The upload is past the state in which this can be done; `state` says where it is. */
  "upload-not-pending": "state";
  /** 409: The webhook is switched off; switch it on with `PATCH`, then try again. */
  "webhook-off": never;
  /** 410: Events behind this cursor are not kept any more: read your files, then go on without it. */
  "cursor-expired": never;
  /** 410: A virus scanner found something in the file, or could not scan it, so it is not served. */
  "file-quarantined": never;
  /** 412: The record is not as If-Match or If-None-Match says: get it again, and decide anew. */
  "precondition-failed": never;
  /** 413: The body is larger than this route reads; files go to the bucket, never through here. */
  "request-too-large": "limit";
  /** 414: Path or query are longer than any that this API has; what is long goes into a body. */
  "address-too-long": "limit";
  /** 422: The destination takes nothing without its MD5: say `checksum_md5`, or one for each part. */
  "checksum-required": "integrity";
  /** 422: No destination lets the client choose this key; announce the file with POST /v1/uploads. */
  "client-keys-not-allowed": never;
  /** 422: The destination does not take this content type; `allowed` lists those it takes. */
  "content-type-not-allowed": "allowed";
  /** 422: The destination does not take this file name extension; `allowed` lists those it takes. */
  "extension-not-allowed": "allowed";
  /** 422: The destination takes no upload forms; in Uppy, set `shouldUseMultipart: true`. */
  "form-not-offered": never;
  /** 422: This Idempotency-Key came with another request before: use a new key for each request. */
  "idempotency-key-reused": never;
  /** 422: The file name cannot be used; rename the file and announce it again. */
  "invalid-filename": never;
  /** 422: The object key cannot be used; `suggestion`, where given, is one that can. */
  "invalid-object-key": "suggestion";
  /** 422: No parts of unknown size here; in Uppy set `shouldUseMultipart: false`, or say the size. */
  "parts-not-offered": never;
  /** 422: The file is smaller or larger than the destination takes: see `min_size` and `max_size`. */
  "size-not-allowed": "min_size" | "max_size";
  /** 422: The upload session takes no files of unknown size; say it, or make it with `unsized`. */
  "size-required": never;
  /** 422: The field does not take so many files; `max_files` says how many it takes. */
  "too-many-files": "max_files";
  /** 422: No destination of that name is configured; GET /v1/destinations lists them. */
  "unknown-destination": never;
  /** 422: The upload has no part of that number: they run from 1 to `part_count`. */
  "unknown-part": "part_count";
  /** 422: The bucket holds something else than was announced, or too small parts; announce it anew. */
  "upload-rejected": "state" | "content_type" | "detected_type";
  /** 422: The URL is not that of an object in one of the buckets that this service looks after. */
  "url-not-ours": never;
  /** 422: The request does not fit the API; `errors` names each field and what is wrong with it. */
  "validation-failed": "errors";
  /** 422: Webhooks go to https URLs of the public internet, and to networks that operators allow. */
  "webhook-url-refused": never;
  /** 422: The field takes files of another destination, which `destination` names. */
  "wrong-destination": "destination";
  /** 429: You ask too often, or were not let in too often: wait `Retry-After` seconds. */
  "too-many-requests": never;
  /** 431: A header, or all of them and the address, are larger than is read; send shorter ones. */
  "headers-too-large": "limit";
  /** 500: The service failed; quote the request id to whoever runs it, and try again. */
  "internal-error": never;
  /** 501: Browsers get no S3 credentials here; in Uppy, leave out `getTemporarySecurityCredentials`. */
  "credentials-not-offered": never;
  /** 501: This service has no CLAIMCHECK_SECRET_KEY, from which webhooks' secrets are made; set it. */
  "webhooks-not-offered": never;
  /** 502: The bucket refuses this service's own request; operators must mend what `detail` names. */
  "bucket-refused": never;
  /** 503: The database or the bucket took too long. Ask again; what was under way may have happened. */
  "answer-overdue": never;
  /** 503: The bucket did not answer, or answered with an error of its own; try again in a moment. */
  "bucket-unavailable": never;
  /** 503: The database did not answer; try again in a moment. */
  "database-unavailable": never;
  /** 503: The stores are still being examined; ask again in a moment. */
  "examination-under-way": never;
  /** 503: The issuer's public keys cannot be had now, so no JWT can be checked; try again soon. */
  "issuer-unavailable": never;
  /** 503: No free key was found for this file name in several tries; try again. */
  "key-exhausted": never;
  /** 503: The service has no S3 credentials at the moment, or they have ended: it can sign nothing. */
  "signing-unavailable": never;
  /** 503: The service has as many connections as it takes; try again in a moment. */
  "too-many-connections": never;
}

export type ProblemType = keyof ProblemMembers;

/** A problem as JSON; `Problem<"size-not-allowed">` has the further members of that one. */
export type Problem<Type extends ProblemType = ProblemType> = {
  type: `urn:claimcheck:problem:${Type}`;
  title: string;
  status: number;
  detail: string;
  request_id: string;
} & { [member in ProblemMembers[Type]]?: unknown };
