"""One destination under examination: the service's part and the browser's, on objects of its own.

Everything is signed by the service's own signer and sent as a browser sends it. Objects are named
`<prefix>claimcheck-doctor-...` and are deleted at the end, with every version.
"""

import hashlib
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from uuid import uuid4

import aioboto3
from botocore.exceptions import ClientError

from app.bucket import ID_METADATA, ObjectHandle
from app.bucket_client import Buckets, error_code
from app.core.destination import Destination
from app.doctor.findings import Abilities, Findings
from app.doctor.remedies import remedy_for
from app.doctor.visitor import Answer, Visitor
from app.errors import Problem
from app.signer import Presigned, PresignedPost, Signer

FIRST, OTHER, LONGER = b"claimcheck doctor", b"CLAIMCHECK DOCTOR", b"claimcheck doctor, longer"
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
class Patient:
    """One destination under examination.

    `origin` is a page's that may send here, `longest_signature` the age in seconds that the
    bucket's policy allows, for the sake of all its destinations.
    """

    destination: Destination
    session: aioboto3.Session
    buckets: Buckets
    visitor: Visitor
    clock: Callable[[], datetime]
    origin: str | None
    longest_signature: int
    findings: Findings
    abilities: Abilities = field(default_factory=Abilities)
    keys: list[str] = field(default_factory=list)
    # Keys by upload id: what was begun in parts and neither joined nor aborted.
    begun: dict[str, str] = field(default_factory=dict)

    @property
    def base_url(self) -> str:
        """Where browsers reach the bucket."""
        return self.destination.address.origin + self.destination.address.base_path

    @property
    def client(self) -> Any:
        return self.buckets.client(self.destination)

    @property
    def signer(self) -> Signer:
        return Signer(self.session, clock=self.clock)

    def new_key(self) -> str:
        key = f"{self.destination.prefix}claimcheck-doctor-{uuid4()}"
        self.keys.append(key)
        return key

    async def signed_put(
        self, key: str, data: bytes = FIRST, *, new: bool = True, promise: bytes | None = None
    ) -> Presigned:
        """A PUT of that many bytes; `new` only where there is no object, `promise`: of these."""
        headers = self.headers("put") | {"content-length": str(len(data))}
        if new:
            headers["if-none-match"] = "*"
        if promise is not None:
            headers["x-amz-checksum-sha256"] = sha256(promise)
        signed = await self.signer.presign(
            "PUT", self.destination.address, key, expires_in=SIGNED_FOR, headers=headers
        )
        # Browsers send the length by themselves.
        del signed.headers["content-length"]
        return signed

    async def signed_form(self, key: str) -> PresignedPost:
        fields = self.headers("post") | {"success_action_status": "201"}
        return await self.signer.presign_post(
            self.destination.address,
            key,
            expires_in=SIGNED_FOR,
            fields=fields,
            size_range=(len(FIRST), len(FIRST)),
        )

    async def read(self, key: str, **query: str) -> Answer:
        """What a link to the object serves."""
        query = {name.replace("_", "-"): value for name, value in query.items()}
        link = await self.signer.presign(
            "GET", self.destination.address, key, expires_in=SIGNED_FOR, query=query
        )
        return await self.visitor.send("GET", link.url)

    async def head(self, key: str) -> dict[str, Any]:
        """HeadObject by the service; its error code under `Error`."""
        try:
            said: dict[str, Any] = await self.client.head_object(
                Bucket=self.destination.bucket, Key=key, ChecksumMode="ENABLED"
            )
        except ClientError as error:
            return {"Error": error_code(error)}
        return said

    def object_at(self, key: str) -> ObjectHandle:
        return ObjectHandle(self.buckets, self.destination, key)

    def headers(self, method: str) -> dict[str, str]:
        """What the destination's objects are stored with, as the service signs it."""
        own = {"content-type": CONTENT_TYPE, ID_HEADER: "doctor"}
        return own | self.destination.object_headers(method)


def sha256(data: bytes) -> str:
    return b64encode(hashlib.sha256(data).digest()).decode()


async def tidy_up(patient: Patient) -> None:
    """Delete everything that was made, and say whether that works."""
    left = []
    problems = set()
    for upload_id, key in patient.begun.items():
        try:
            await patient.object_at(key).abort_upload(upload_id)
        except Problem as problem:
            left.append(key)
            problems.add(str(problem.__cause__ or problem.detail))
    for key in patient.keys:
        try:
            await patient.object_at(key).delete()
        except Problem as problem:
            left.append(key)
            problems.add(str(problem.__cause__ or problem.detail))
    if not left:
        patient.findings.ok("removal", "Objects are deleted with every version.")
        return
    patient.findings.fail(
        "removal",
        f"Objects cannot be deleted: {'; '.join(sorted(problems))}. Left behind: {len(left)} that "
        f"begin with {patient.destination.prefix}claimcheck-doctor-.",
        remedy_for("AccessDenied", *_RIGHTS_TO_REMOVE),
    )
