"""Sessions of aiobotocore: they find credentials and open S3 clients.

botocore keeps whatever it reads of its data for the life of the process: of each service in each
region, and the documentation of each member of each call. The sessions made here share one reader,
which keeps what S3 clients need, and those of queues, topics and roles.
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
# S3, who tells of its events, and whom roles and single sign-on get their keys from; each with its
# name in the list of endpoints.
_SERVICES: Final = {
    "s3": "s3",
    "sns": "sns",
    "sqs": "sqs",
    "sts": "sts",
    "sso": "portal.sso",
    "sso-oidc": "oidc",
}


def new_session() -> Session:
    """A session with this module's reader. Nothing is read yet."""
    session = AioSession()
    session.register_component("data_loader", s3_data())
    return session


@cache
def s3_data() -> Loader:
    """The reader of botocore's data, which keeps what it has read."""
    return _Loader(file_loader=_Files())


def read_s3_data() -> None:
    """Read now what the first client would read, for processes that are forked to share it."""
    data = s3_data()
    data.load_data("endpoints")
    data.load_data("partitions")
    data.load_data("sdk-default-configuration")
    for kind in ("service-2", "endpoint-rule-set-1"):
        data.load_service_model("s3", kind)


class _Loader(Loader):  # type: ignore[misc]
    def list_available_services(self, type_name: str) -> list[str]:  # noqa: ARG002 (as it is called)
        """Those that are loaded here: it would look into the folders of all four hundred."""
        return list(_SERVICES)


class _Files(JSONFileLoader):  # type: ignore[misc]
    """Reads a file of botocore's data without what no client of `_SERVICES` asks for."""

    def load_file(self, file_path: str) -> Any:
        for ending, read in _READERS.items():
            path = Path(file_path + ending)
            if path.is_file():
                with read(path, "rb") as file:
                    return _of_services(json.load(file, object_hook=_without_words))
        return None


def _of_services(data: dict[str, Any]) -> dict[str, Any]:
    """The list of all endpoints without those of other services."""
    for partition in data.get("partitions", []):
        if "services" in partition:
            found = partition["services"]
            partition["services"] = {key: found[key] for key in _SERVICES.values() if key in found}
    return data


def _without_words(value: dict[str, Any]) -> dict[str, Any]:
    """A member, or a call, without its documentation."""
    if "documentation" in value and isinstance(value["documentation"], str):
        value["documentation"] = ""
    return value
