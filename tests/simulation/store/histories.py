"""Little histories that are sent to a real store and to the simulated one, to be compared.

Each is told through a `Side`: the requests of a browser, and the very clients by which the service
asks its buckets. What comes back is written down without what differs from run to run: ids are
counted, dates left out, messages dropped.
"""

import base64
import hashlib
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from botocore.exceptions import ClientError, HTTPClientError

from app.core.destination import Destination
from app.core.sigv4 import Credentials, presign_post, presign_url
from app.store.client import Buckets

META = "x-amz-meta-claimcheck-id"
_CODE = re.compile(rb"<Code>([^<]*)</Code>")
# What the service, or a page, reads.
_READ = ("content-length", "content-range", "content-type", "cache-control", META)


class Replied(NamedTuple):
    """A store's answer to a browser; names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


Told = list[tuple[str, object]]


@dataclass
class Side:
    """A store, real or simulated, as browsers and the service reach it."""

    buckets: Buckets
    destination: Destination
    send: Callable[..., Awaitable[Replied]]
    credentials: Credentials
    clock: Callable[[], datetime]
    told: Told = field(default_factory=list)
    _names: dict[str, str] = field(default_factory=dict)

    def name(self, kind: str, given: str | None) -> str | None:
        """An id as the ordinal of its first appearance."""
        if given is None or given == "null":
            return None
        if given not in self._names:
            count = sum(name.startswith(kind) for name in self._names.values())
            self._names[given] = f"{kind} {count + 1}"
        return self._names[given]

    def sign(
        self,
        method: Any,
        key: str,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
        *,
        ago: float = 0,
        lives: int = 600,
    ) -> str:
        return presign_url(
            method,
            self.destination.address,
            key,
            credentials=self.credentials,
            now=self.clock() - timedelta(seconds=ago),
            expires_in=lives,
            headers=headers,
            query=query,
        )

    async def browse(self, what: str, method: str, url: str, **sent: Any) -> Replied:
        """Send it and tell of the answer."""
        said = await self.send(method, url, **sent)
        # Pages read no codes, and stores have their own.
        shown: dict[str, object] = {"status": said.status}
        if said.status < 300 and method == "GET":
            shown |= {name: said.headers[name] for name in _READ if name in said.headers}
            shown["body"] = said.body
        if said.status < 300 and method != "POST":
            shown["etag"] = said.headers.get("etag")
            shown["version"] = self.name("version", said.headers.get("x-amz-version-id"))
        self.told.append((what, shown))
        return said

    async def call(self, what: str, operation: str, **parameters: Any) -> dict[str, Any]:
        """One call of the service's own client on the bucket."""
        slow = operation == "complete_multipart_upload"
        find = self.buckets.slow_client if slow else self.buckets.client
        client = await find(self.destination)
        parameters.setdefault("Bucket", self.destination.bucket)
        try:
            said = await getattr(client, operation)(**parameters)
        except ClientError as error:
            status = error.response["ResponseMetadata"]["HTTPStatusCode"]
            self.told.append((what, {"code": error.response["Error"]["Code"], "status": status}))
            return {}
        except HTTPClientError:
            self.told.append((what, {"unreadable": True}))
            return {}
        # What is answered to these differs, and the service reads nothing of it.
        unread = operation in ("delete_object", "complete_multipart_upload")
        self.told.append((what, {} if unread else self._shown(said)))
        return dict(said)

    async def look(self, what: str, method: str, key: str, version: str | None = None) -> None:
        """What the service's own look is answered, code by code."""
        query = None if version is None else {"versionId": version}
        url = self.sign(method, key, query=query)
        headers = {"Range": "bytes=0-3"} if method == "GET" else {}
        try:
            answer = await (await self.buckets.web()).ask(method, url, headers, 4)
        except HTTPClientError:
            self.told.append((what, {"unreadable": True}))
            return
        shown: dict[str, object] = {"status": answer.status}
        if not answer.ok:
            code = _CODE.search(answer.start)
            shown["code"] = code[1].decode() if code else None
        else:
            lower = {name.lower(): value for name, value in answer.headers.items()}
            shown |= {name: lower[name] for name in _READ if name in lower}
            shown["etag"] = lower.get("etag")
            shown["version"] = self.name("version", lower.get("x-amz-version-id"))
            shown["start"] = answer.start
        self.told.append((what, shown))

    def _shown(self, said: Mapping[str, Any]) -> dict[str, object]:
        shown: dict[str, object] = {}
        shown |= {name: said[name] for name in ("KeyCount", "TagSet") if name in said}
        if "UploadId" in said and "Parts" not in said:
            shown["UploadId"] = self.name("upload", said["UploadId"])
        for name in ("Versions", "DeleteMarkers", "Uploads", "Parts", "Contents"):
            if name in said:
                entries = list(said[name])
                if name == "Parts":
                    # SeaweedFS has several of one number, in no order.
                    entries.sort(key=lambda part: (part["PartNumber"], part["ETag"]))
                shown[name] = [self._entry(entry) for entry in entries]
        return shown

    def _entry(self, entry: Mapping[str, Any]) -> dict[str, object]:
        wanted = ("Key", "Size", "IsLatest", "PartNumber")
        shown: dict[str, object] = {name: entry[name] for name in wanted if name in entry}
        if "VersionId" in entry:
            shown["VersionId"] = self.name("version", entry["VersionId"])
        if "UploadId" in entry:
            shown["UploadId"] = self.name("upload", entry["UploadId"])
        if "ETag" in entry:
            shown["ETag"] = entry["ETag"]
        return shown


def md5(data: bytes) -> str:
    return base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()


def of_put(data: bytes, **more: str) -> dict[str, str]:
    """The headers that a PUT of a text is signed with."""
    return {
        "content-type": "text/plain",
        "content-length": str(len(data)),
        META: "7",
        **{name.replace("_", "-"): value for name, value in more.items()},
    }


async def put(side: Side, what: str, key: str, data: bytes, **more: str) -> Replied:
    headers = of_put(data, **more)
    return await side.browse(
        what, "PUT", side.sign("PUT", key, headers), headers=headers, data=data
    )


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
    """What was not signed so, or not now."""
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


async def parts(side: Side) -> None:
    """Uploads in parts: joined once, twice; spoiled; dropped."""
    key, where = "h/parts.txt", {"Key": "h/parts.txt"}
    shape = {"ContentType": "text/plain", "Metadata": {"claimcheck-id": "7"}}
    begun = await side.call("create", "create_multipart_upload", **where, **shape)
    upload = begun.get("UploadId", "")

    async def part(what: str, number: int, data: bytes, upload: str, **more: str) -> Replied:
        headers = {"content-length": str(len(data))}
        headers |= {name.replace("_", "-"): value for name, value in more.items()}
        query = {"partNumber": str(number), "uploadId": upload}
        url = side.sign("PUT", key, headers, query)
        return await side.browse(what, "PUT", url, headers=headers, data=data)

    async def complete(what: str, upload: str, *etags: str) -> None:
        named = [{"PartNumber": n, "ETag": etag} for n, etag in enumerate(etags, start=1)]
        await side.call(
            what,
            "complete_multipart_upload",
            **where,
            UploadId=upload,
            MultipartUpload={"Parts": named},
        )

    await side.call("uploads", "list_multipart_uploads", Prefix=key)
    await side.call("no parts", "list_parts", **where, UploadId=upload)
    old = await part("part", 1, b"one", upload)
    new = await part("part again", 1, b"another", upload)
    await side.call("parts", "list_parts", **where, UploadId=upload)
    await side.look("before it is joined", "GET", key)
    await complete("joined by an old ETag", upload, old.headers.get("etag", ""))
    await complete("joined", upload, new.headers.get("etag", ""))
    await side.look("look", "GET", key)
    await side.call("versions", "list_object_versions", Prefix=key)
    await side.call("parts after", "list_parts", **where, UploadId=upload)
    await side.call("uploads after", "list_multipart_uploads", Prefix=key)
    await complete("joined twice", upload, new.headers.get("etag", ""))
    await side.call("versions after twice", "list_object_versions", Prefix=key)
    await part("a part after", 1, b"one more", upload)
    await side.look("look after a part", "GET", key)
    await side.look("look by HEAD after a part", "HEAD", key)
    await side.call("abort after", "abort_multipart_upload", **where, UploadId=upload)
    await side.look("look after the abort", "GET", key)

    begun = await side.call("create another", "create_multipart_upload", **where, **shape)
    upload = begun.get("UploadId", "")
    etags = [
        (await part("a small part", n, b"small", upload)).headers.get("etag", "") for n in (1, 2)
    ]
    await complete("small parts", upload, *etags)
    await side.call("abort", "abort_multipart_upload", **where, UploadId=upload)
    await side.call("parts of none", "list_parts", **where, UploadId=upload)
    await part("a part of none", 1, b"late", upload)
    await side.call("abort again", "abort_multipart_upload", **where, UploadId=upload)
    await complete("complete none", upload, *etags[:1])

    begun = await side.call("create a third", "create_multipart_upload", **where, **shape)
    upload = begun.get("UploadId", "")
    await part("a part with another MD5", 1, b"five!", upload, content_md5=md5(b"other"))
    await part("the part with its MD5", 1, b"five!", upload, content_md5=md5(b"five!"))
    await side.call("parts of the third", "list_parts", **where, UploadId=upload)
    await side.call("abort the third", "abort_multipart_upload", **where, UploadId=upload)


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


HISTORIES = (objects, empty, refusals, parts, forms, elsewhere)
