"""Destinations: where files of one kind go, and what is allowed there. Pure."""

import re
from functools import cached_property, lru_cache
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from app.core.content_types import essence
from app.core.key_normalizer import DEFAULT_TEMPLATE, check_prefix, check_template
from app.core.object_url import AddressingStyle, BucketAddress, bucket_address
from app.core.parts import MAX_OBJECT_SIZE, MAX_PART_SIZE, MIB, MIN_PART_SIZE
from app.core.principal import Principal, missing_scopes
from app.core.sigv4 import MAX_EXPIRES_IN
from app.core.words import two_sizes

Method = Literal["post", "put", "multipart"]
Integrity = Literal["off", "md5"]

# Of a destination's name in a request; names in the settings are shorter.
MAX_DESTINATION: Final = 100
# Largest body of one PUT or POST (AWS userguide, "Amazon S3 multipart upload limits").
MAX_SINGLE_UPLOAD: Final = 5 * 1024**3
# Of a directory of 8 MiB, the largest that is read (app.core.zip_directory).
MAX_ENTRIES: Final = 182_361
_PATTERN = re.compile(r"\*/\*|[a-z0-9.+-]+/(?:\*|[a-z0-9.+-]+)")


def split_words(value: object) -> object:
    """The comma-separated words of a string, for the environment; other values as they are."""
    if isinstance(value, str):
        return [item.strip() for item in value.split(",") if item.strip()]
    return value


def _check_scopes(scopes: tuple[str, ...]) -> tuple[str, ...]:
    for scope in scopes:
        # RFC 6749 section 3.3; commas separate them in the environment.
        if not re.fullmatch(r"[\x21\x23-\x2b\x2d-\x5b\x5d-\x7e]{1,100}", scope):
            raise ValueError(f"{scope!r} is not a scope: write one word of ASCII")
    return scopes


def _check_types(types: tuple[str, ...]) -> tuple[str, ...]:
    lowered = tuple(t.lower() for t in types)
    for pattern in lowered:
        if not _PATTERN.fullmatch(pattern):
            raise ValueError(f"{pattern!r} is not a content type: write image/png or image/*")
    return lowered


def _check_extensions(extensions: tuple[str, ...]) -> tuple[str, ...]:
    plain = tuple(e.lower().removeprefix(".") for e in extensions)
    for extension in plain:
        if not re.fullmatch(r"[a-z0-9]{1,16}", extension):
            raise ValueError(f"{extension!r} is not an extension: write png or .png")
    return plain


def _check_claims(claims: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    for name, values in claims.items():
        if not values:
            raise ValueError(f"{name} has no values, so nobody could use the destination")
    return claims


def _check_header(value: str) -> str:
    # `$` would start a variable in a POST policy, where it is expanded before matching.
    if not value.isascii() or not value.isprintable() or "$" in value:
        raise ValueError("must be printable ASCII without '$'")
    return value


Words = Annotated[tuple[str, ...], BeforeValidator(split_words)]
Scopes = Annotated[Words, AfterValidator(_check_scopes)]
_HeaderValue = Annotated[str, AfterValidator(_check_header)]
Expiry = Annotated[int, Field(ge=1, le=MAX_EXPIRES_IN)]


class Archives(BaseModel):
    """Limits of the archives in a destination."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_entries: Annotated[int, Field(ge=1, le=MAX_ENTRIES)] = 10_000
    # Bytes in all, unpacked.
    max_unpacked: Annotated[int, Field(ge=1, le=2**53)] = 10 * 1024**3
    # Unpacked bytes for each byte of the file.
    max_ratio: Annotated[int, Field(ge=1, le=1_000_000)] = 100
    encrypted: Literal["accept", "reject"] = "accept"
    symlinks: Literal["accept", "reject"] = "reject"


class Destination(BaseModel):
    """The settings of one destination; `app.settings` fills in bucket, region and endpoints from
    the global ones.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = ""
    bucket: str = ""
    region: str = ""
    endpoint_url: str | None = None
    public_endpoint_url: str | None = None
    addressing_style: AddressingStyle = "auto"
    key_prefix: Annotated[str, AfterValidator(check_prefix)] | None = None
    key_template: Annotated[str, AfterValidator(check_template)] = DEFAULT_TEMPLATE
    method: Method = "post"
    content_types: Annotated[Words, AfterValidator(_check_types)] = ()
    extensions: Annotated[Words, AfterValidator(_check_extensions)] = ()
    min_size: Annotated[int, Field(ge=0)] = 0
    max_size: Annotated[int, Field(ge=0, le=MAX_OBJECT_SIZE)] = MAX_SINGLE_UPLOAD
    # Files above it go in parts, whatever `method` says.
    multipart_threshold: Annotated[int, Field(ge=0, le=MAX_SINGLE_UPLOAD)] = 100 * MIB
    part_size: Annotated[int, Field(ge=MIN_PART_SIZE, le=MAX_PART_SIZE)] = 16 * MIB
    # Whether uploads in parts may begin without a size, as Uppy's do: no length is signed then.
    unsized_parts: bool = True
    # Seconds from the announcement after which nothing is signed for a multipart upload.
    multipart_expires_in: Annotated[int, Field(ge=1, le=31_536_000)] = 604_800
    # Whether the store is known to refuse a PUT with `If-None-Match: *` on an existing key.
    conditional_writes: bool = False
    allow_existence_optimization: bool = False
    upload_expires_in: Expiry = 3600
    link_expires_in: Expiry = 3600
    # None: a quarter of link_expires_in.
    link_window: Annotated[int, Field(ge=0, le=MAX_EXPIRES_IN)] | None = None
    # Whether files have a `content_url`, which pages can use without a bearer token.
    content_urls: bool = True
    # Whether contents are taken whose type can be neither confirmed nor refuted.
    unknown_contents: Literal["accept", "reject"] = "accept"
    # What is done where a file's name lies harmlessly: a WebP that is called a JPEG.
    mistaken_types: Literal["correct", "reject"] = "correct"
    # Whether an object is kept whose contents differ from what was announced.
    rejected_objects: Literal["keep", "delete"] = "keep"
    # The most pixels that an image may have, as its header says; None: nothing is measured.
    max_pixels: Annotated[int, Field(ge=1, le=2**53)] | None = None
    # Limits of zip archives by their directories; None: nothing is judged.
    archives: Archives | None = None
    acl: Literal["private", "bucket-owner-read", "bucket-owner-full-control"] | None = None
    cache_control: _HeaderValue | None = None
    content_disposition: _HeaderValue | None = None
    server_side_encryption: Literal["AES256", "aws:kms", "aws:kms:dsse"] | None = None
    kms_key_id: _HeaderValue | None = None
    allow_client_keys: bool = False
    # Whether a file is served only once a scanner has found it clean, and which scanner that is:
    # `api` is any that tells by `PUT /v1/files/{id}/scan`.
    scan: Literal["off", "required"] = "off"
    scanner: Literal["clamd", "guardduty", "api"] = "clamd"
    # Whether a file is served that could not be scanned.
    scan_failed: Literal["quarantine", "serve"] = "quarantine"
    # Whether the object of an infected file is kept.
    infected_objects: Literal["keep", "delete"] = "keep"
    # Whether clients announce the MD5 of each request to the bucket, which holds them to it.
    integrity: Integrity = "off"
    # What to do with an upload that arrived whole and was never confirmed; the sweep does it.
    unconfirmed: Literal["confirm", "delete"] = "confirm"
    scopes: Scopes = ()
    claims: Annotated[dict[str, Words], AfterValidator(_check_claims)] = {}

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.min_size > self.max_size:
            raise ValueError(f"min_size {self.min_size} is above max_size {self.max_size}")
        if self.kms_key_id and not (self.server_side_encryption or "").startswith("aws:kms"):
            raise ValueError("kms_key_id needs server_side_encryption = aws:kms")
        if self.allow_client_keys and self.method != "post":
            raise ValueError("allow_client_keys needs method = post: its answer is a POST form")
        if self.allow_client_keys and self.integrity != "off":
            raise ValueError("allow_client_keys needs integrity = off: its forms are for any bytes")
        return self

    @property
    def prefix(self) -> str:
        """The effective key prefix: `key_prefix`, or `<name>/` where none is set."""
        return f"{self.name}/" if self.key_prefix is None else self.key_prefix

    @cached_property
    def address(self) -> BucketAddress:
        """The bucket's address for browsers, which is the one that is signed."""
        return bucket_address(
            self.public_endpoint_url, self.bucket, self.region, self.addressing_style
        )

    def service_address(self, region: str) -> BucketAddress:
        """The bucket's address for the service itself, in the destination's or another region."""
        if region == self.region:
            return self._service_address
        return bucket_address(self.endpoint_url, self.bucket, region, self.addressing_style)

    @cached_property
    def _service_address(self) -> BucketAddress:
        return bucket_address(self.endpoint_url, self.bucket, self.region, self.addressing_style)

    @cached_property
    def stored_endpoint(self) -> str:
        """The endpoint in front of `/bucket/key` in stored object URLs."""
        by_path = bucket_address(self.public_endpoint_url, self.bucket, self.region, "path")
        path = by_path.base_path.removesuffix(f"/{self.bucket}")
        return f"{by_path.scheme}://{by_path.host}{path}"

    @cached_property
    def disposition(self) -> Literal["inline", "attachment"]:
        """How links present files where nothing else is asked: as objects are stored."""
        said = (self.content_disposition or "inline").partition(";")[0].strip().lower()
        # What is unknown is a download (RFC 6266 section 4.2).
        return "inline" if said == "inline" else "attachment"

    @property
    def store(self) -> str:
        """The store that has the bucket: its endpoint for the service, or AWS in its region."""
        return self.endpoint_url or f"aws:{self.region}"

    @property
    def window(self) -> int:
        """Seconds during which links to one object are identical; 0: each is signed anew."""
        if self.link_window is not None:
            return self.link_window
        return min(self.link_expires_in // 4, MAX_EXPIRES_IN - self.link_expires_in)

    @property
    def longest_link(self) -> int:
        """Seconds that a link may live from its making."""
        return self.link_expires_in + self.window

    @property
    def is_scanned_by_worker(self) -> bool:
        """Whether a worker asks the scanner; others come by themselves."""
        return self.scan == "required" and self.scanner != "api"

    def admits(self, caller: Principal) -> bool:
        """Whether the caller may upload here: all of `scopes`, and one value of each of `claims`.

        An upload session admits to its own destination alone; its maker's rights were checked when
        it was made.
        """
        if caller.session is not None:
            return caller.session.destination == self.name
        if not self.scopes and not self.claims:
            return True
        return not missing_scopes(self.scopes, caller.scopes) and all(
            _has(caller.claims.get(name), values) for name, values in self.claims.items()
        )

    def takes_type(self, content_type: str) -> bool:
        """Whether `content_types` (exact types or `image/*`; empty: any) allows this type."""
        return not self.content_types or _is_of(content_type, self.content_types)

    def takes_extension(self, extension: str) -> bool:
        """Whether `extensions` (without dots, lower case; empty: any) allows this one."""
        return not self.extensions or extension in self.extensions

    def size_objection(self, size: int) -> str | None:
        """A sentence without its stop on why no file of so many bytes may be uploaded here."""
        if size > self.max_size:
            has, most = two_sizes(size, self.max_size)
            return f"{has} is more than the {most} that {self.name} takes"
        if size < self.min_size:
            has, least = two_sizes(size, self.min_size)
            return f"{has} is less than the {least} that a file in {self.name} needs"
        return None

    def method_for(self, size: int | None) -> Method:
        """The upload method for a file of that size in bytes, None where it is not known."""
        return "multipart" if (size or 0) > self.multipart_threshold else self.method

    def object_headers(self, method: str) -> dict[str, str]:
        """The headers of a PUT, or fields of a POST form, that every object here is stored with."""
        # The one name that differs between the two (AWS API, PutObject and POST Object).
        acl = {} if self.acl is None else {"acl" if method == "post" else "x-amz-acl": self.acl}
        return {**acl, **self._object_headers}

    @cached_property
    def _object_headers(self) -> dict[str, str]:
        wanted = {
            "cache-control": self.cache_control,
            "content-disposition": self.content_disposition,
            "x-amz-server-side-encryption": self.server_side_encryption,
            "x-amz-server-side-encryption-aws-kms-key-id": self.kms_key_id,
        }
        return {name: value for name, value in wanted.items() if value is not None}


# A destination takes few types, and the same ones again and again.
@lru_cache(maxsize=512)
def _is_of(content_type: str, patterns: tuple[str, ...]) -> bool:
    kind = essence(content_type)
    family = kind.partition("/")[0] + "/*"
    return not {kind, family, "*/*"}.isdisjoint(patterns)


def _has(claim: object, wanted: tuple[str, ...]) -> bool:
    """Whether a claim, a string or a list, has one of these strings. Other types never match."""
    found = claim if isinstance(claim, list) else [claim]
    return any(isinstance(value, str) and value in wanted for value in found)
