"""Pages of lists, as requests that were presigned ask for them and as XML answers."""

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote
from xml.sax.saxutils import escape

from app.embedded.gate_request import S3Request
from tests.simulation.store.operations import OPERATIONS

if TYPE_CHECKING:
    from tests.simulation.store.simulated import Store

# The parameters of a query, and boto3's names of them.
_PARAMETERS: Final = {
    "prefix": "Prefix",
    "start-after": "StartAfter",
    "continuation-token": "ContinuationToken",
    "key-marker": "KeyMarker",
    "version-id-marker": "VersionIdMarker",
}
_ELEMENTS: Final = {"Contents": "Contents", "Versions": "Version", "DeleteMarkers": "DeleteMarker"}


def list_operation(request: S3Request) -> str | None:
    """The operation that lists the bucket, if that is what is asked for."""
    if request.method != "GET" or request.key:
        return None
    return "list_object_versions" if request.has("versions") else "list_objects_v2"


def page(store: "Store", operation: str, request: S3Request, who: str) -> bytes:
    """Raises S3Error."""
    given: dict[str, Any] = {
        name: request.first(parameter)
        for parameter, name in _PARAMETERS.items()
        if request.has(parameter)
    }
    said = OPERATIONS[operation](
        *(store, who, request.bucket), **given, MaxKeys=int(request.first("max-keys") or 1000)
    )
    root = "ListVersionsResult" if request.has("versions") else "ListBucketResult"
    told = [_element("EncodingType", "url")]
    for name, value in said.items():
        if name in _ELEMENTS:
            told += [f"<{_ELEMENTS[name]}>{_entry(e)}</{_ELEMENTS[name]}>" for e in value]
        else:
            told.append(_element(name, quote(value) if name == "NextKeyMarker" else value))
    return f"<{root}>{''.join(told)}</{root}>".encode()


def _entry(entry: dict[str, Any]) -> str:
    written = entry | {
        "Key": quote(entry["Key"]),
        "LastModified": entry["LastModified"].isoformat(),
    }
    return "".join(_element(name, value) for name, value in written.items())


def _element(name: str, value: Any) -> str:
    text = str(value).lower() if isinstance(value, bool) else escape(str(value))
    return f"<{name}>{text}</{name}>"
