"""Sessions of aiobotocore: they find credentials and open S3 clients.

botocore keeps whatever it reads of its data for the life of the process: of each service in each
region, and the documentation of each member of each call. The sessions made here share one reader,
which keeps what clients of S3 need, and those that get credentials.
"""

import gzip
import json
from functools import cache
from pathlib import Path
from typing import Any, Final, TypeAlias

from aiobotocore.session import AioSession
from botocore.loaders import JSONFileLoader, Loader

Session: TypeAlias = AioSession
_READERS: Final[dict[str, Any]] = {".json": open, ".json.gz": gzip.open}
# As endpoints are named: S3, and whom roles and single sign-on get their keys from.
_SERVICES: Final = frozenset({"s3", "sts", "oidc", "portal.sso"})


def new_session() -> Session:
    """A session with this module's reader. Nothing is read yet."""
    session = AioSession()
    session.register_component("data_loader", s3_data())
    return session


@cache
def s3_data() -> Loader:
    """The reader of botocore's data, which keeps what it has read."""
    return Loader(file_loader=_Files())


def read_s3_data() -> None:
    """Read now what the first client would read, for processes that are forked to share it."""
    data = s3_data()
    data.load_data("endpoints")
    data.load_data("partitions")
    data.load_data("sdk-default-configuration")
    for kind in ("service-2", "endpoint-rule-set-1"):
        data.load_service_model("s3", kind)


class _Files(JSONFileLoader):  # type: ignore[misc]
    """Reads a file of botocore's data without what no S3 client asks for."""

    def load_file(self, file_path: str) -> Any:
        for ending, read in _READERS.items():
            path = Path(file_path + ending)
            if path.is_file():
                with read(path, "rb") as file:
                    return json.load(file, object_hook=_needed)
        return None


def _needed(value: dict[str, Any]) -> dict[str, Any]:
    """Without texts for people, and without the endpoints of other services."""
    if isinstance(value.get("documentation"), str):
        value["documentation"] = ""
    services = value.get("services")
    if isinstance(services, dict):
        value["services"] = {name: found for name, found in services.items() if name in _SERVICES}
    return value
