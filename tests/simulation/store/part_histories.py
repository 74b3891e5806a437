"""Histories of uploads in parts, as in `histories`."""

from tests.simulation.store.side import Replied, Side, md5


async def send_part(
    side: Side, key: str, what: str, number: int, data: bytes, upload: str, **more: str
) -> Replied:
    headers = {"content-length": str(len(data))}
    headers |= {name.replace("_", "-"): value for name, value in more.items()}
    query = {"partNumber": str(number), "uploadId": upload}
    url = side.sign("PUT", key, headers, query)
    return await side.browse(what, "PUT", url, headers=headers, data=data)


async def complete(side: Side, key: str, what: str, upload: str, *etags: str) -> None:
    named = [{"PartNumber": number, "ETag": etag} for number, etag in enumerate(etags, start=1)]
    operation = "complete_multipart_upload"
    parts = {"Parts": named}
    await side.call(what, operation, Key=key, UploadId=upload, MultipartUpload=parts)


async def parts(side: Side) -> None:
    """Uploads in parts: joined once, twice; dropped."""
    key, where = "h/parts.txt", {"Key": "h/parts.txt"}
    shape = {"ContentType": "text/plain", "Metadata": {"claimcheck-id": "7"}}
    begun = await side.call("create", "create_multipart_upload", **where, **shape)
    upload = begun["UploadId"]

    await side.call("uploads", "list_multipart_uploads", Prefix=key)
    await side.call("no parts", "list_parts", **where, UploadId=upload)
    old = await send_part(side, key, "part", 1, b"one", upload)
    new = await send_part(side, key, "part again", 1, b"another", upload)
    await side.call("parts", "list_parts", **where, UploadId=upload)
    await side.look("before it is joined", "GET", key)
    await complete(side, key, "joined by an old ETag", upload, old.headers.get("etag", ""))
    await complete(side, key, "joined", upload, new.headers.get("etag", ""))
    await side.look("look", "GET", key)
    await side.call("versions", "list_object_versions", Prefix=key)
    await side.call("parts after", "list_parts", **where, UploadId=upload)
    await side.call("uploads after", "list_multipart_uploads", Prefix=key)
    await complete(side, key, "joined twice", upload, new.headers.get("etag", ""))
    await side.call("versions after twice", "list_object_versions", Prefix=key)
    await send_part(side, key, "a part after", 1, b"one more", upload)
    await side.look("look after a part", "GET", key)
    await side.look("look by HEAD after a part", "HEAD", key)
    await send_part(side, key, "the part after, as it was", 1, b"another", upload)
    await side.look("look after that", "GET", key)
    await side.call("abort after", "abort_multipart_upload", **where, UploadId=upload)
    await side.look("look after the abort", "GET", key)

    begun = await side.call("create another", "create_multipart_upload", **where, **shape)
    upload = begun.get("UploadId", "")
    etags = [
        (await send_part(side, key, "a small part", n, b"small", upload)).headers.get("etag", "")
        for n in (1, 2)
    ]
    await complete(side, key, "small parts", upload, *etags)
    await side.call("abort", "abort_multipart_upload", **where, UploadId=upload)
    await side.call("parts of none", "list_parts", **where, UploadId=upload)
    await send_part(side, key, "a part of none", 1, b"late", upload)
    await side.call("abort again", "abort_multipart_upload", **where, UploadId=upload)
    await complete(side, key, "complete none", upload, *etags[:1])

    begun = await side.call("create a third", "create_multipart_upload", **where, **shape)
    upload = begun.get("UploadId", "")
    await send_part(
        side, key, "a part with another MD5", 1, b"five!", upload, content_md5=md5(b"other")
    )
    await send_part(
        side, key, "the part with its MD5", 1, b"five!", upload, content_md5=md5(b"five!")
    )
    await side.call("parts of the third", "list_parts", **where, UploadId=upload)
    await side.call("abort the third", "abort_multipart_upload", **where, UploadId=upload)


async def spoiled(side: Side) -> None:
    """A part that is sent once more, as another, after the parts were joined; joined again."""
    key = "h/spoiled.txt"
    shape = {"ContentType": "text/plain", "Metadata": {"claimcheck-id": "7"}}
    begun = await side.call("create", "create_multipart_upload", Key=key, **shape)
    upload = begun["UploadId"]
    for number, data in enumerate((b"one", b"two", b"one"), start=1):
        sent = await send_part(side, key, f"part {number}", 1, data, upload)
        await side.look(f"look {number}", "GET", key)
        await complete(side, key, f"join {number}", upload, sent.headers.get("etag", '"none"'))
        await side.look(f"look {number} at what is joined", "GET", key)
        await side.call(f"versions {number}", "list_object_versions", Prefix=key)
