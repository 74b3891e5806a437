"""Little histories that are sent to a real store and to the simulated one, to be compared."""

import base64
import hashlib
from urllib.parse import urlsplit

from app.core.sigv4 import presign_post
from tests.simulation.store.part_histories import parts, spoiled
from tests.simulation.store.side import META, Side, md5, of_put, put


async def objects(side: Side) -> None:
    """Objects in one request: written, read, written again, deleted."""
    key, data = "h/one.txt", b"hello, world"
    for method in ("GET", "HEAD"):
        await side.look(f"{method} of what is missing", method, key)
    await put(side, "put", key, data)
    await side.browse("get", "GET", side.sign("GET", key))
    await side.browse("get 0-3", "GET", side.sign("GET", key), headers={"range": "bytes=0-3"})
    await side.browse("get 5-", "GET", side.sign("GET", key), headers={"range": "bytes=5-4095"})
    await side.browse("get 90-", "GET", side.sign("GET", key), headers={"range": "bytes=90-99"})
    await side.look("look", "GET", key)
    await side.look("look by HEAD", "HEAD", key)
    first = await side.call("versions", "list_object_versions", Prefix=key)
    await side.call("objects", "list_objects_v2", Prefix=key)
    await side.call("tags", "get_object_tagging", Key=key)
    await put(side, "put again", key, b"other bytes")
    await side.call("versions of two", "list_object_versions", Prefix=key)
    await put(side, "put if none", key, b"third", if_none_match="*")
    await put(side, "put if none, new", "h/new.txt", b"third", if_none_match="*")
    await side.call("versions of three", "list_object_versions", Prefix=key)
    pins = [entry["VersionId"] for entry in first.get("Versions", [])]
    for pin in pins:
        await side.look("first version", "GET", key, pin)
    await side.call("delete", "delete_object", Key=key)
    await side.look("deleted", "GET", key)
    await side.look("deleted by HEAD", "HEAD", key)
    now = await side.call("versions after delete", "list_object_versions", Prefix=key)
    for pin in pins:
        await side.look("first version, hidden", "GET", key, pin)
    for marker in [entry["VersionId"] for entry in now.get("DeleteMarkers", [])][:1]:
        await side.look("the marker", "GET", key, marker)
        await side.look("the marker by HEAD", "HEAD", key, marker)
    entries = [*now.get("Versions", []), *now.get("DeleteMarkers", [])]
    for entry in sorted(entries, key=lambda entry: side.name("version", entry["VersionId"]) or ""):
        await side.call("delete one", "delete_object", Key=key, VersionId=entry["VersionId"])
    await side.call("versions of none", "list_object_versions", Prefix=key)
    for pin in pins:
        await side.look("a version that is gone", "GET", key, pin)
        await side.look("a version that is gone by HEAD", "HEAD", key, pin)
        await side.call("delete it again", "delete_object", Key=key, VersionId=pin)
    await side.call("tags of none", "get_object_tagging", Key=key)
    await side.call("delete of none", "delete_object", Key="h/never.txt")
    left = await side.call("what is left", "list_object_versions", Prefix="h/never")
    for pin in [entry["VersionId"] for entry in left.get("DeleteMarkers", [])]:
        await side.call("delete the marker", "delete_object", Key="h/never.txt", VersionId=pin)


async def empty(side: Side) -> None:
    """An empty object."""
    key = "h/empty.txt"
    await put(side, "put", key, b"")
    await side.look("look", "GET", key)
    await side.look("look by HEAD", "HEAD", key)
    await side.browse("get", "GET", side.sign("GET", key))


async def refusals(side: Side) -> None:
    """Requests that were not signed so, or not for now."""
    key, data = "h/refused.txt", b"hello"
    headers = of_put(data)
    url = side.sign("PUT", key, headers)

    async def send(what: str, url: str = url, data: bytes = data, **other: str | None) -> None:
        changed = headers | {n.replace("_", "-"): v for n, v in other.items() if v is not None}
        for name in [n.replace("_", "-") for n, v in other.items() if v is None]:
            changed.pop(name)
        await side.browse(what, "PUT", url, headers=changed, data=data)

    await send("another type", content_type="text/html")
    await send("without the id", x_amz_meta_claimcheck_id=None)
    await send("another id", x_amz_meta_claimcheck_id="8")
    await send("more bytes", data=b"hello!", content_length="6")
    await send("a forged signature", url=url[:-1] + ("0" if url[-1] != "0" else "1"))
    await send("another key", url=url.replace("refused", "refusal"))
    await send("one more header", x_amz_meta_more="9")
    await put(side, "a secret", "h/secret.txt", b"secret")
    source = f"/{side.destination.bucket}/h/secret.txt"
    await send("a copy that nobody signed", x_amz_copy_source=source)
    await side.look("what is there of it", "GET", key)
    await send("an old URL", url=side.sign("PUT", key, headers, ago=700))
    await send("a URL to come", url=side.sign("PUT", key, headers, ago=-3000))
    parts = urlsplit(url)
    await send("no signature", url=f"{parts.scheme}://{parts.netloc}{parts.path}")
    await side.browse("another method", "GET", url)
    await side.look("what is there", "HEAD", key)
    await put(side, "another MD5", "h/md5.txt", data, content_md5=md5(b"other"))
    await put(side, "its MD5", "h/md5.txt", data, content_md5=md5(data))
    sha = base64.b64encode(hashlib.sha256(b"other").digest()).decode()
    await put(side, "another SHA-256", "h/sha.txt", data, x_amz_checksum_sha256=sha)
    sha = base64.b64encode(hashlib.sha256(data).digest()).decode()
    await put(side, "its SHA-256", "h/sha.txt", data, x_amz_checksum_sha256=sha)


async def forms(side: Side) -> None:
    """POST forms."""
    key, data = "h/form.txt", b"hello"

    def form(**more: str) -> tuple[str, dict[str, str]]:
        return presign_post(
            side.destination.address,
            key,
            credentials=side.credentials,
            now=side.clock(),
            expires_in=600,
            fields={
                "content-type": "text/plain",
                META: "7",
                "success_action_status": "201",
                **more,
            },
            size_range=(3, 6),
        )

    url, fields = form()
    await side.browse("form", "POST", url, form=fields, data=data)
    await side.look("look", "GET", key)
    await side.browse("form again", "POST", url, form=fields, data=b"other")
    await side.browse("too long", "POST", url, form=fields, data=b"much too long")
    await side.browse("too short", "POST", url, form=fields, data=b"a")
    await side.browse("another type", "POST", url, form=fields | {"content-type": "a/b"}, data=data)
    await side.browse("another key", "POST", url, form=fields | {"key": "h/f.txt"}, data=data)
    await side.browse("one more field", "POST", url, form=fields | {"x-more": "1"}, data=data)
    forged = fields | {"x-amz-signature": "0" * 64}
    await side.browse("a forged signature", "POST", url, form=forged, data=data)
    without = {name: value for name, value in fields.items() if name != META}
    await side.browse("without the id", "POST", url, form=without, data=data)
    url, fields = form(**{"cache-control": "no-store"})
    await side.browse("form with a header", "POST", url, form=fields, data=data)
    await side.look("look at its headers", "HEAD", key)
    await side.call("versions", "list_object_versions", Prefix=key)


async def elsewhere(side: Side) -> None:
    """A bucket that is not there, and lists of several keys."""
    gone = "claimcheck-is-not-there"
    for operation in ("head_bucket", "list_objects_v2", "list_object_versions"):
        await side.call(operation, operation, Bucket=gone)
    await side.call("create", "create_multipart_upload", Bucket=gone, Key="a")
    await side.call("delete", "delete_object", Bucket=gone, Key="a")
    await side.call("the bucket", "head_bucket")
    for key in ("l/b", "l/a", "l/a-c"):
        await put(side, f"put {key}", key, key.encode())
    await side.call("list", "list_objects_v2", Prefix="l/")
    await side.call("list after", "list_objects_v2", Prefix="l/", StartAfter="l/a")
    await side.call("versions", "list_object_versions", Prefix="l/")
    await side.call("versions of a", "list_object_versions", Prefix="l/a")
    await side.call("versions after", "list_object_versions", Prefix="l/", KeyMarker="l/a")
    await side.call("uploads", "list_multipart_uploads", Prefix="l/")


HISTORIES = (objects, empty, refusals, parts, spoiled, forms, elsewhere)
