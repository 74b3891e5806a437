"""A store, real or simulated, to which a history is told: as by browsers, and through the very
clients by which the service asks its buckets.

What comes back is written down without what differs from run to run: ids are counted, dates left
out, messages dropped.
"""

import base64
import hashlib
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from botocore.exceptions import ClientError, HTTPClientError

from app.core.destination import Destination
from app.core.sigv4 import Credentials, presign_url
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

    async def call(self, what: str, operation: str, **parameters: Any) -> Mapping[str, Any]:
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
        return said

    async def look(self, what: str, method: str, key: str, version: str | None = None) -> None:
        """Send one request of the service's own looks, and tell of the answer with its code."""
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
        shown = {name: said[name] for name in ("KeyCount", "TagSet") if name in said}
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
