"""Presign an upload in one piece, as a form or a PUT."""

from app.core.destination import MAX_SINGLE_UPLOAD, Destination
from app.models.files import File
from app.runtime.resources import Resources
from app.store.signer import Presigned, PresignedPost
from app.uploads.rules import largest, object_headers


async def sign_upload(
    res: Resources, destination: Destination, file: File
) -> Presigned | PresignedPost:
    """Presign the upload so that only the contents of the announced bytes are left open.

    PUT signs the exact length, the MD5 where one was announced, and `If-None-Match: *` where the
    store is known to obey it; POST
    pins every field and the length range. The length of a PUT whose size was not announced is left
    open, and checked by confirm. Raises BucketRefused where the store is known to refuse us for our
    clock.
    """
    res.buckets.require_clock(destination)
    high = file.size
    if high is None:
        high = min(await largest(res, destination, file), MAX_SINGLE_UPLOAD)
    headers = object_headers(destination, file)
    if file.checksum_sha256 is not None:
        headers["x-amz-checksum-sha256"] = file.checksum_sha256
    address, expires_in = destination.address, destination.upload_expires_in
    if file.method == "put":
        if file.checksum_md5 is not None:
            headers["content-md5"] = file.checksum_md5
        if destination.conditional_writes:
            headers["if-none-match"] = "*"
        if file.size is not None:
            headers["content-length"] = str(file.size)
        return await res.signer.presign(
            "PUT", address, file.key, expires_in=expires_in, headers=headers
        )
    if file.checksum_sha256 is not None:
        headers["x-amz-checksum-algorithm"] = "SHA256"
    return await res.signer.presign_post(
        address,
        file.key,
        expires_in=expires_in,
        fields={**headers, "success_action_status": "201"},
        size_range=(destination.min_size if file.size is None else file.size, high),
    )
