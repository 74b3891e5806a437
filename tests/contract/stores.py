"""The stores that the contract is held to, and what each of them cannot do.

The cases are the same for all. A case that a store cannot keep is not left out there: what the
store lacks is named in `KINDS` with the reason, and a test that is marked `lacking` shows what it
does instead. `having` and `sending` choose the stores of a test by that table alone.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from enum import StrEnum, auto
from typing import Any, Final

import pytest

from app.core.bucket_setup import Aspect, StoreKind, needs_of, target_config
from app.core.destination import Destination
from app.embedded.s3 import start_s3
from tests.support.service import ACCESS_KEY, ORIGIN, SECRET_KEY, Store, prepared
from tests.support.stores import block_public_access, rclone, rgw, s3_client, seaweedfs, swift

PAGES: Final = {"CLAIMCHECK_CORS_ORIGINS": ORIGIN}
# Every open store has a second bucket, named so, that no instructions are signed for.
OTHER: Final = "-other"


class Feature(StrEnum):
    """A thing that S3 does and some stores do not."""

    FORMS = auto()  # POST Object
    STRICT_FORMS = auto()  # a form with a field that its policy does not name is refused
    FORM_HEADERS = auto()  # cache-control and content-disposition of a form are stored
    VERSIONS = auto()  # every write makes a version, and a link can pin one
    CONDITIONAL_WRITES = auto()  # If-None-Match: * on a PUT keeps what is there
    CHECKSUMS = auto()  # the announced SHA-256 is compared with the bytes
    TOLD_CHECKSUMS = auto()  # HEAD says that the SHA-256 is the whole object's
    COMPUTED_CHECKSUMS = auto()  # a SHA-256 that HEAD reports is the store's own work
    RANGES = auto()  # a part of an object is a 206
    FUTURE_REFUSED = auto()  # a URL does not work before the moment it was signed for
    SIGNED_HEADERS_ONLY = auto()  # x-amz-* headers that were not signed are refused
    PUBLIC_ACCESS_BLOCK = auto()  # a bucket can have one
    BLOCKED_ACLS = auto()  # BlockPublicAcls refuses public ACLs, and nothing else
    CORS_RULES = auto()  # browsers are answered by the bucket's rules
    CORS_ON_FORGERIES = auto()  # so is the refusal of a signature
    CORS_WITHOUT_RULES = auto()  # there are headers of the store's own for pages
    HONEST_HEADS = auto()  # the answer to a HEAD has no body
    SUBRESOURCES = auto()  # a link with one more parameter is one that was not signed so
    MANY_PARTS = auto()  # 10,000 parts
    BUCKET_PREFLIGHTS = auto()  # so are preflights at the bucket's own URL, where forms go
    DEAD_PARTS = auto()  # the URLs of parts are dead once they are joined
    CONTENT_MD5 = auto()  # a signed Content-MD5 is compared with the bytes, and cannot be left off
    MD5_ETAGS = auto()  # an ETag is the MD5 of the bytes, or that of the parts' MD5s
    PARTS_AGAIN = auto()  # a part that was refused for its MD5 can be sent again
    REPLACED_PARTS = auto()  # a part that was taken can be sent again with other bytes
    BYTE_ORDER = auto()  # lists are in the order of the keys' UTF-8 bytes
    USERS = auto()  # the service can have fewer rights than the owner of the bucket


@dataclass(frozen=True)
class OpenStore:
    """A running store with a bucket: the service's keys, and a client with the owner's."""

    service: Store
    bucket: str
    owner: Any = field(repr=False)

    def versions(self, key: str) -> list[str]:
        """The version ids of the key, delete markers among them, newest first."""
        listed = self.owner.list_object_versions(Bucket=self.bucket, Prefix=key)
        entries = [*listed.get("Versions", []), *listed.get("DeleteMarkers", [])]
        return [entry["VersionId"] for entry in entries if entry["Key"] == key]

    def holds(self, key: str) -> bool:
        listed = self.owner.list_objects_v2(Bucket=self.bucket, Prefix=key)
        return any(entry["Key"] == key for entry in listed.get("Contents", []))


@dataclass(frozen=True)
class Kind:
    """A store: how to open it, and what it lacks, each with the reason.

    `anonymous` and `expired` are the status and the code of its refusals. `post_to_key` is the
    status of a POST to a key's URL, which no S3 call makes; `unruled_preflight` and
    `bare_preflight` those of a preflight that no rule allows, and of one without its headers.
    """

    name: str
    open: Callable[[], AbstractAsyncContextManager[OpenStore]]
    unavailable: str | None
    lacks: Mapping[Feature, str]
    anonymous: tuple[int, str] = (403, "AccessDenied")
    expired: tuple[int, str] = (403, "AccessDenied")
    # The statuses of a store that takes what is not signed for another API of its own.
    plain: frozenset[int] = frozenset()
    post_to_key: int = 403
    unruled_preflight: int = 403
    bare_preflight: int = 400

    def has(self, *features: Feature) -> bool:
        return not any(feature in self.lacks for feature in features)

    @property
    def methods(self) -> tuple[str, ...]:
        """The destinations to send to in one request, named as their methods."""
        return ("post", "put") if self.has(Feature.FORMS) else ("put",)

    def seals(self, method: str) -> str:
        """The word in `sealed` of a confirmed file that keeps its bytes."""
        if method == "multipart" and not self.has(Feature.DEAD_PARTS):
            return "no"
        if self.has(Feature.VERSIONS):
            return "version"
        if method == "multipart":
            return "multipart"
        return "conditional" if method == "put" and self.keeps_conditions else "no"

    @property
    def keeps_conditions(self) -> bool:
        """Whether a PUT that may only create does nothing else: a header that nobody signed would
        make it a copy, which asks for no condition.
        """
        return self.has(Feature.CONDITIONAL_WRITES, Feature.SIGNED_HEADERS_ONLY)


@asynccontextmanager
async def _open_gate(*, versioned: bool) -> AsyncIterator[OpenStore]:
    with start_s3(ACCESS_KEY, SECRET_KEY) as endpoint_url:
        # All that run in one process have the same buckets.
        service, bucket = Store(endpoint_url), "contract" if versioned else "contract-unversioned"
        owner = s3_client(endpoint_url, ACCESS_KEY, SECRET_KEY)
        if versioned:
            await prepared(service.environ(bucket) | PAGES)
        else:
            make_unversioned(owner, bucket)
            switches = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy")
            block_public_access(owner, bucket, *switches, "RestrictPublicBuckets")
        owner.create_bucket(Bucket=bucket + OTHER)
        yield OpenStore(service, bucket, owner)


@asynccontextmanager
async def _open_rgw(*, versioned: bool) -> AsyncIterator[OpenStore]:
    """The owner makes the bucket, the service gets a user with nothing but its own rights."""
    with rgw.start_rgw() as gateway:
        keys, bucket, owner = gateway.owner, "contract", gateway.client()
        if versioned:
            owned = Store(gateway.endpoint_url, keys.access_key, keys.secret_key)
            await prepared(owned.environ(bucket) | PAGES)
        else:
            make_unversioned(owner, bucket)
        owner.create_bucket(Bucket=bucket + OTHER)
        # BlockPublicPolicy refuses every bucket policy on RGW 16.2, and with it the user's rights.
        block_public_access(owner, bucket, "IgnorePublicAcls", "RestrictPublicBuckets")
        user = gateway.create_service_user("service", bucket)
        service = Store(gateway.endpoint_url, user.access_key, user.secret_key)
        yield OpenStore(service, bucket, owner)


def make_unversioned(owner: Any, bucket: str) -> None:
    """A bucket that answers browsers, and keeps no versions."""
    owner.create_bucket(Bucket=bucket)
    needs = needs_of([Destination(name="contract", bucket=bucket)], [ORIGIN])
    rules = target_config(Aspect.CORS, needs, {}, StoreKind.CEPH)
    owner.put_bucket_cors(Bucket=bucket, CORSConfiguration=rules)


@asynccontextmanager
async def _open_rgw_versioned() -> AsyncIterator[OpenStore]:
    async with _open_rgw(versioned=True) as store:
        yield store


@asynccontextmanager
async def _open_rgw_unversioned() -> AsyncIterator[OpenStore]:
    async with _open_rgw(versioned=False) as store:
        yield store


@asynccontextmanager
async def _open_gate_versioned() -> AsyncIterator[OpenStore]:
    async with _open_gate(versioned=True) as store:
        yield store


@asynccontextmanager
async def _open_gate_unversioned() -> AsyncIterator[OpenStore]:
    async with _open_gate(versioned=False) as store:
        yield store


@asynccontextmanager
async def _open_seaweedfs() -> AsyncIterator[OpenStore]:
    with seaweedfs.start_seaweedfs() as server:
        owner, bucket = server.client(), "contract"
        service = Store(server.endpoint_url, server.access_key, server.secret_key)
        await prepared(service.environ(bucket) | PAGES)
        owner.create_bucket(Bucket=bucket + OTHER)
        yield OpenStore(service, bucket, owner)


@asynccontextmanager
async def _open_swift() -> AsyncIterator[OpenStore]:
    with swift.start_swift() as server:
        owner, bucket = server.client(), "contract"
        service = Store(server.endpoint_url, server.access_key, server.secret_key)
        await prepared(service.environ(bucket) | PAGES)
        owner.create_bucket(Bucket=bucket + OTHER)
        yield OpenStore(service, bucket, owner)


@asynccontextmanager
async def _open_rclone() -> AsyncIterator[OpenStore]:
    with rclone.start_rclone(ORIGIN) as server:
        owner = server.client()
        owner.create_bucket(Bucket=server.bucket + OTHER)
        service = Store(server.endpoint_url, server.access_key, server.secret_key)
        yield OpenStore(service, server.bucket, owner)


_RGW_LACKS: Final = {
    Feature.FORM_HEADERS: "RGW 16.2 stores neither header from a form",
    Feature.TOLD_CHECKSUMS: "RGW 16.2 has none to tell",
    Feature.CHECKSUMS: "RGW 16.2 ignores x-amz-checksum-*: what it stores stays unverified",
    Feature.FUTURE_REFUSED: "RGW 16.2 looks at the end of a URL's life, not at its beginning",
    Feature.SIGNED_HEADERS_ONLY: "RGW 16.2 obeys x-amz-* headers that nobody signed",
    Feature.BLOCKED_ACLS: "RGW 16.2 refuses every PUT under BlockPublicAcls, the owner's too",
    Feature.CORS_ON_FORGERIES: "RGW 16.2 refuses a signature before it reads the bucket's rules",
}

KINDS: Final = (
    Kind(
        "gate",
        _open_gate_versioned,
        None,
        {Feature.USERS: "the embedded S3 has one key pair, which may do everything"},
    ),
    Kind(
        "gate-unversioned",
        _open_gate_unversioned,
        None,
        {
            Feature.USERS: "the embedded S3 has one key pair, which may do everything",
            Feature.VERSIONS: "the bucket was never asked to keep any",
        },
    ),
    Kind(
        "rgw-versioned",
        _open_rgw_versioned,
        rgw.available(),
        {
            **_RGW_LACKS,
            Feature.CONDITIONAL_WRITES: "RGW 16.2 makes a new version in spite of If-None-Match",
        },
    ),
    Kind(
        "rgw-unversioned",
        _open_rgw_unversioned,
        rgw.available(),
        {**_RGW_LACKS, Feature.VERSIONS: "the bucket was never asked to keep any"},
    ),
    Kind(
        "seaweedfs",
        _open_seaweedfs,
        seaweedfs.available(),
        {
            Feature.STRICT_FORMS: "SeaweedFS lets a form have fields that its policy does not name",
            Feature.TOLD_CHECKSUMS: "SeaweedFS does not say of what its SHA-256 is",
            Feature.FUTURE_REFUSED: "SeaweedFS looks at the end of a URL's life alone",
            Feature.PUBLIC_ACCESS_BLOCK: "SeaweedFS has no ACLs, and knows no such call",
            Feature.BLOCKED_ACLS: "SeaweedFS has no public access block",
            Feature.BYTE_ORDER: "SeaweedFS lists folder by folder: n/a/b before n/a!",
            Feature.BUCKET_PREFLIGHTS: "SeaweedFS answers these with *, whatever the rules are",
            Feature.USERS: "it is started with one key pair, which may do everything",
        },
        # It sees that a key takes no POST before it sees the signature, and answers preflights
        # that ask for what is not allowed with what is.
        post_to_key=405,
        unruled_preflight=200,
        bare_preflight=200,
    ),
    Kind(
        "swift",
        _open_swift,
        swift.available(),
        {
            Feature.DEAD_PARTS: "on Swift the parts stay the object, and can be sent again",
            Feature.FORMS: "Swift's S3 API has no POST Object",
            Feature.CONDITIONAL_WRITES: "Swift has no condition on a PUT",
            Feature.TOLD_CHECKSUMS: "Swift has none to tell",
            Feature.CHECKSUMS: "Swift compares x-amz-checksum-* with nothing",
            Feature.FUTURE_REFUSED: "Swift looks at the end of a URL's life alone",
            Feature.PUBLIC_ACCESS_BLOCK: "Swift knows no such call",
            Feature.BLOCKED_ACLS: "Swift has no public access block",
            Feature.CORS_RULES: "Swift's S3 API takes no CORS rules",
            Feature.CORS_WITHOUT_RULES: "they are set by Swift's own API",
            Feature.HONEST_HEADS: "Swift sends a body with the 404 to a HEAD",
            Feature.SUBRESOURCES: "Swift answers ?tagging and ?acl before it looks further",
            Feature.MANY_PARTS: "Swift takes 1,000, as it comes",
            Feature.USERS: "it is started with one key pair, which may do everything",
        },
        plain=frozenset({400, 401, 403, 412}),
        post_to_key=501,
    ),
    Kind(
        "rclone",
        _open_rclone,
        rclone.available(),
        {
            Feature.FORMS: "rclone has no POST Object, as R2 and B2 have none",
            Feature.VERSIONS: "rclone keeps files, one for a key",
            Feature.CONDITIONAL_WRITES: "rclone overwrites in spite of If-None-Match",
            Feature.TOLD_CHECKSUMS: "rclone does not say of what its SHA-256 is",
            Feature.CHECKSUMS: "rclone compares x-amz-checksum-* with nothing",
            Feature.MD5_ETAGS: "rclone's ETag of a file in parts is the MD5 of the whole",
            Feature.PARTS_AGAIN: "rclone drops the whole upload when it refuses one part's MD5",
            Feature.REPLACED_PARTS: "rclone has written the part's bytes already",
            Feature.COMPUTED_CHECKSUMS: "rclone keeps the announced SHA-256 and repeats it",
            Feature.RANGES: "rclone sends the part with a 200",
            Feature.FUTURE_REFUSED: "rclone looks at the end of a URL's life alone",
            Feature.PUBLIC_ACCESS_BLOCK: "rclone has no ACLs",
            Feature.BLOCKED_ACLS: "rclone has neither ACLs nor a public access block",
            Feature.CORS_RULES: "rclone has one origin for all buckets, and its own headers",
            Feature.USERS: "rclone's key pair may do everything",
        },
        anonymous=(400, "UnsupportedAlgorithm"),
        expired=(400, "AccessDenied"),
    ),
)


def having(*features: Feature) -> pytest.MarkDecorator:
    """Run the test on every store that has all the features; it takes `flow`."""
    return _on([kind for kind in KINDS if kind.has(*features)])


def lacking(feature: Feature, *features: Feature) -> pytest.MarkDecorator:
    """Run the test on every store that lacks the first feature and has the others."""
    return _on([kind for kind in KINDS if not kind.has(feature) and kind.has(*features)])


def sending(
    *features: Feature, without: Feature | None = None, parts: bool = False
) -> pytest.MarkDecorator:
    """`having`, or `lacking` the one `without`, once for each way to send a file to the store,
    in parts too if so asked; the test takes `method` too.
    """
    return pytest.mark.parametrize(
        ("flow", "method"),
        [
            pytest.param(kind, method, id=f"{kind.name}-{method}", marks=_marks(kind))
            for kind in KINDS
            if kind.has(*features) and not (without and kind.has(without))
            for method in (*kind.methods, *(["multipart"] if parts else []))
        ],
        indirect=["flow"],
    )


def _on(kinds: list[Kind]) -> pytest.MarkDecorator:
    assert kinds, "no store would run this test"
    params = [pytest.param(kind, id=kind.name, marks=_marks(kind)) for kind in kinds]
    return pytest.mark.parametrize("flow", params, indirect=True)


def _marks(kind: Kind) -> list[pytest.MarkDecorator]:
    return [pytest.mark.skip(reason=kind.unavailable)] if kind.unavailable else []
