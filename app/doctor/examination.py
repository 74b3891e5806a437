"""The examination of one destination, on objects of its own.

Requests are signed by the service's own signer and sent as a browser sends them. Objects are named
`<prefix>claimcheck-doctor-...` and are deleted at the end, with every version.
"""

import hashlib
import os
from base64 import b64encode
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any, Final
from uuid import UUID, uuid4

from botocore.exceptions import ClientError

from app.core.destination import Destination
from app.core.ids import uuid7
from app.doctor.browser import Answer, Browser
from app.doctor.findings import Abilities, Findings
from app.doctor.remedies import remedy_for
from app.errors import Problem
from app.store.client import Buckets, error_code
from app.store.credentials import CredentialChain
from app.store.look import ID_METADATA, StoredObject, look
from app.store.objects import ObjectHandle
from app.store.signer import Presigned, PresignedPost, Signer

CONTENT: Final = b"claimcheck doctor"
OTHER_CONTENT: Final = b"CLAIMCHECK DOCTOR"  # of the same length
LONGER_CONTENT: Final = b"claimcheck doctor, longer"
CONTENT_TYPE: Final = "text/plain"
ID_HEADER: Final = f"x-amz-meta-{ID_METADATA}"
SIGNED_FOR: Final = 300  # seconds
_RIGHTS_TO_REMOVE: Final = (
    "s3:DeleteObject",
    "s3:DeleteObjectVersion",
    "s3:ListBucketVersions",
    "s3:AbortMultipartUpload",
)


@dataclass(slots=True)
class Examination:
    """One destination, what checking it takes, and what was found so far.

    `origin` is the first configured CORS origin. `longest_signature` is the age in seconds up to
    which the bucket's policy takes a signature: the longest that any of its destinations needs.
    """

    destination: Destination
    credentials: CredentialChain
    buckets: Buckets
    browser: Browser
    clock: Callable[[], datetime]
    origin: str | None
    longest_signature: int
    findings: Findings
    abilities: Abilities = field(default_factory=Abilities)
    keys: list[str] = field(default_factory=list)
    # Keys by upload id: multipart uploads that are neither completed nor aborted.
    unfinished: dict[str, str] = field(default_factory=dict)

    @property
    def base_url(self) -> str:
        """The bucket's URL for browsers, without a slash at the end."""
        return self.destination.address.origin + self.destination.address.base_path

    async def client(self) -> Any:
        """The S3 client of the service itself."""
        return await self.buckets.client(self.destination)

    @property
    def signer(self) -> Signer:
        return Signer(self.credentials, clock=self.clock)

    def new_id(self) -> UUID:
        """A UUIDv7 of now."""
        return uuid7(self.clock(), os.urandom(8))

    def new_key(self) -> str:
        """A key that no object has; `tidy_up` deletes its object."""
        key = f"{self.destination.prefix}claimcheck-doctor-{uuid4()}"
        self.keys.append(key)
        return key

    async def signed_put(
        self, key: str, *, if_absent: bool | None = None, checksum_of: bytes | None = None
    ) -> Presigned:
        """Presign a PUT of `CONTENT`.

        `if_absent` signs `If-None-Match: *` (None: as the destination's uploads are),
        `checksum_of` the SHA-256 of these bytes.
        """
        headers = self.headers("put") | {"content-length": str(len(CONTENT))}
        if self.destination.conditional_writes if if_absent is None else if_absent:
            headers["if-none-match"] = "*"
        if checksum_of is not None:
            headers["x-amz-checksum-sha256"] = sha256(checksum_of)
        signed = await self.signer.presign(
            "PUT", self.destination.address, key, expires_in=SIGNED_FOR, headers=headers
        )
        # Browsers send the length by themselves.
        del signed.headers["content-length"]
        return signed

    async def signed_form(self, key: str) -> PresignedPost:
        """Presign a POST form for exactly as many bytes as `CONTENT` has."""
        fields = self.headers("post") | {"success_action_status": "201"}
        return await self.signer.presign_post(
            self.destination.address,
            key,
            expires_in=SIGNED_FOR,
            fields=fields,
            size_range=(len(CONTENT), len(CONTENT)),
        )

    async def read(self, key: str, **query: str) -> Answer:
        """Get the object with a presigned link; `query` with `_` for `-` in names."""
        query = {name.replace("_", "-"): value for name, value in query.items()}
        link = await self.signer.presign(
            "GET", self.destination.address, key, expires_in=SIGNED_FOR, query=query
        )
        return await self.browser.send("GET", link.url)

    async def look(
        self, key: str, *, version_id: str | None = None, checksum: bool = False
    ) -> StoredObject | str | None:
        """The object with its first bytes, as confirm looks at it; the code of a refusal; or None
        where there is none.
        """
        try:
            return await look(
                self.buckets,
                self.destination,
                key,
                version_id=version_id,
                length=len(CONTENT),
                checksum=checksum,
            )
        except ClientError as error:
            return error_code(error)

    def object_at(self, key: str) -> ObjectHandle:
        """The handle by which the service itself asks for the object."""
        return ObjectHandle(self.buckets, self.destination, key)

    def headers(self, method: str) -> dict[str, str]:
        """The headers or form fields that the service signs for an object of this destination."""
        own = {"content-type": CONTENT_TYPE, ID_HEADER: "doctor"}
        return own | self.destination.object_headers(method)


def sha256(data: bytes) -> str:
    """The SHA-256 in Base64, as S3 writes checksums."""
    return b64encode(hashlib.sha256(data).digest()).decode()


async def tidy_up(examination: Examination) -> None:
    """Delete every object and abort every upload that was made; add whether that worked."""
    removals: list[Callable[[], Awaitable[None]]] = [
        partial(examination.object_at(key).abort_upload, upload_id)
        for upload_id, key in examination.unfinished.items()
    ]
    removals += [examination.object_at(key).delete for key in examination.keys]
    reasons = []
    for remove in removals:
        try:
            await remove()
        except Problem as problem:
            reasons.append(str(problem.__cause__ or problem.detail))
    examination.findings.ok_or_fail(
        not reasons,
        "removal",
        "Objects are deleted with every version.",
        f"Objects cannot be deleted: {'; '.join(sorted(set(reasons)))}. Left behind: "
        f"{len(reasons)} that begin with {examination.destination.prefix}claimcheck-doctor-.",
        remedy_for("AccessDenied", *_RIGHTS_TO_REMOVE),
    )
