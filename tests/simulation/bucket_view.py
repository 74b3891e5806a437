"""The bucket as the model and the invariants see it, through the simulated store."""

from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

from tests.simulation.model import Version

_NULL: Final = "null"
_ARRIVALS: Final = frozenset({"put", "complete"})
_EFFECTS: Final = frozenset({"delete", "marker", "complete", "abort"})


class BucketView:
    """Answers from the store's state and its log, which it reads on."""

    def __init__(self, store: Any) -> None:
        self._store = store
        self._read = 0
        self._arrived: dict[tuple[str, str], list[Version]] = defaultdict(list)

    def read_on(self) -> list[Any]:
        """All that has happened in the store since this was asked last."""
        changes = self._store.log[self._read :]
        self._read += len(changes)
        for c in changes:
            if c.what in _ARRIVALS:
                version = Version(c.version_id, c.size, c.digest, c.etag, c.file_id, c.at)
                self._arrived[c.bucket, c.key].append(version)
        return [change for change in changes if change.what in _EFFECTS]

    def arrived(self, bucket: str, key: str) -> list[Version]:
        return self._arrived[bucket, key]

    def there(self, bucket: str, key: str) -> list[Version]:
        versions = self._store.buckets[bucket].keys.get(key, [])
        return [_version(version) for version in versions if not version.marker]

    def current(self, bucket: str, key: str) -> Version | None:
        versions = self._store.buckets[bucket].keys.get(key)
        return _version(versions[0]) if versions and not versions[0].marker else None

    def parts(self, bucket: str, upload_id: str) -> dict[int, int] | None:
        upload = self._store.buckets[bucket].uploads.get(upload_id)
        return None if upload is None else {p.number: p.body.length for p in upload.parts}

    def everything(self) -> Iterator[tuple[str, str, Version | None]]:
        """Bucket, key and version of all that is there; None for a delete marker."""
        for name, bucket in self._store.buckets.items():
            for key, versions in bucket.keys.items():
                for version in versions:
                    yield name, key, None if version.marker else _version(version)

    def uploads(self) -> Iterator[tuple[str, str, datetime]]:
        """Bucket, key and beginning of the uploads in parts that are under way."""
        for name, bucket in self._store.buckets.items():
            for upload in bucket.uploads.values():
                yield name, upload.key, upload.at


def _version(found: Any) -> Version:
    version_id = None if found.id == _NULL else found.id
    owner = found.metadata.get("claimcheck-id")
    return Version(version_id, found.size, found.digest, found.etag, owner, found.at)
