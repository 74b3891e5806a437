"""How each store behaves, where stores differ: AWS as documented, the others as measured.

`tests/simulation/test_store_manners.py` sends the same histories to the real ones, as far as they
run here, and to the simulated ones. What is not a matter of a single request, and so cannot be held
against a real store at will, has its source beside it.
"""

from dataclasses import dataclass, replace
from typing import Final, Literal


@dataclass(frozen=True)
class Manners:
    """One store; the values that are given here are those of AWS S3, from its API reference."""

    name: str
    # Buckets can keep versions, and the store lists them.
    versions: bool = True
    lists_versions: bool = True
    # A list of versions that goes on behind a key begins with that key, in buckets that keep them.
    list_repeats_marker: bool = False
    # ETags in lists have no quotes.
    bare_list_etags: bool = False
    # The answer about a version that is a delete marker, or is gone; of a HEAD, its status.
    marker: tuple[int, str] = (405, "MethodNotAllowed")
    marker_head: int = 405
    gone_version: str = "NoSuchVersion"
    # A delete of what never was leaves a marker, where the bucket keeps versions.
    marks_nothing: bool = True
    # A 404 to a HEAD has a body, which HTTP clients take for a broken answer.
    heads_have_bodies: bool = False
    # A delete may be told that there is no bucket, while another version is being deleted.
    denies_bucket: bool = False

    forms: bool = True
    # The status of a form where there are none.
    form_refusal: int = 405
    strict_forms: bool = True
    form_headers: bool = True

    # A PUT with If-None-Match: * on a key that exists; `unversioned`: kept in such buckets alone.
    conditions: Literal["kept", "unversioned", "ignored", "refused"] = "kept"
    # x-amz-* headers that were not signed are obeyed, a copy's source among them.
    obeys_unsigned: bool = False
    # A URL does not work before the moment that it was signed for (less 15 minutes).
    future_refused: bool = True
    expired: int = 403
    unsigned: int = 403
    # An announced SHA-256 is compared, and HEAD tells that it is the whole object's.
    checksums: Literal["told", "compared", "ignored"] = "told"
    tags: Literal["kept", "none", "broken"] = "kept"
    # A part of an object is a 206.
    ranges: bool = True
    # An ended session token has a code of its own.
    tells_ended_token: bool = True

    # Parts below 5 MiB are joined.
    joins_small: bool = False
    # A part that is sent again: replaces the first, stands beside it, or is refused.
    part_again: Literal["replaces", "beside", "refused"] = "replaces"
    # A part whose MD5 differs drops the whole upload.
    drops_on_md5: bool = False
    # The ETag of a file in parts is the MD5 of the whole.
    whole_etag: bool = False
    # A second complete: answered as the first, or so if it names the same parts, or refused, or
    # either. AWS does both, by how long ago the first was.
    complete_twice: Literal["again", "same", "unknown", "either"] = "either"
    # Parts are the object itself: they are listed on, and one that is sent again spoils it.
    lasting_parts: bool = False
    # What is said of an upload that is gone: ListParts, Complete, Abort.
    no_parts: tuple[int, str] = (404, "NoSuchUpload")
    no_complete: tuple[int, str] = (404, "NoSuchUpload")
    no_abort: tuple[int, str] | None = (404, "NoSuchUpload")
    # A complete may answer 200 and then an error, which botocore makes a 500 of (AWS API,
    # CompleteMultipartUpload).
    late_errors: bool = True
    # Parts that are under way while their upload is aborted may come to stay, and the upload with
    # them (AWS API, AbortMultipartUpload).
    parts_outlive_abort: bool = True
    # The upload is forgotten before its object is there (findings/rclone-serve-s3-drops-upload.sh).
    object_comes_late: bool = False


AWS: Final = Manners("aws")
# moto 5.2 behind the gate of app/embedded.
MOTO: Final = replace(
    AWS,
    name="moto",
    marker=(404, "NoSuchVersion"),
    marks_nothing=False,
    complete_twice="again",
    late_errors=False,
    parts_outlive_abort=False,
)
# Ceph RGW 16.2.
RGW: Final = replace(
    AWS,
    name="rgw",
    list_repeats_marker=True,
    marker=(404, "NoSuchKey"),
    marker_head=404,
    gone_version="NoSuchKey",
    form_headers=False,
    conditions="unversioned",
    obeys_unsigned=True,
    future_refused=False,
    checksums="ignored",
    tells_ended_token=False,
    complete_twice="same",
    no_parts=(404, "NoSuchKey"),
    no_complete=(500, "InternalError"),
    late_errors=False,
    parts_outlive_abort=False,
)
# SeaweedFS 4.48.
SEAWEEDFS: Final = replace(
    AWS,
    name="seaweedfs",
    marker=(404, "NoSuchKey"),
    marker_head=404,
    strict_forms=False,
    future_refused=False,
    checksums="compared",
    part_again="beside",
    complete_twice="again",
    no_abort=None,
    late_errors=False,
    parts_outlive_abort=False,
)
# OpenStack Swift 2.30, s3api, with `symlink` behind `versioned_writes`.
SWIFT: Final = replace(
    AWS,
    name="swift",
    marker=(404, "NoSuchKey"),
    marker_head=404,
    gone_version="NoSuchKey",
    heads_have_bodies=True,
    denies_bucket=True,
    forms=False,
    form_refusal=412,
    conditions="refused",
    future_refused=False,
    unsigned=400,
    checksums="ignored",
    tags="none",
    complete_twice="again",
    lasting_parts=True,
    late_errors=False,
    parts_outlive_abort=False,
)
# rclone serve s3 1.75.
RCLONE: Final = replace(
    AWS,
    name="rclone",
    versions=False,
    lists_versions=False,
    bare_list_etags=True,
    forms=False,
    form_refusal=400,
    conditions="ignored",
    future_refused=False,
    expired=400,
    unsigned=400,
    checksums="ignored",
    tags="broken",
    ranges=False,
    joins_small=True,
    part_again="refused",
    drops_on_md5=True,
    whole_etag=True,
    complete_twice="unknown",
    late_errors=False,
    parts_outlive_abort=False,
    object_comes_late=True,
)

ALL: Final = {m.name: m for m in (AWS, MOTO, RGW, SEAWEEDFS, SWIFT, RCLONE)}
