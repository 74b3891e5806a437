"""Sessions of aioboto3: they find credentials, and open clients for every call but a look.

Loaded late, with the first such call (`app.store.client.load_clients`): aioboto3 and botocore take
a tenth of the time to the first answer, and nothing that most requests ask for needs them while the
keys stand in the settings.

botocore keeps whatever it reads of its data for the life of the process: of each service in each
region, and the documentation of each member of each call. The sessions made here share one reader,
which keeps what S3 clients need, and those of queues, topics and roles.
"""

import gzip
import json
from functools import cache
from pathlib import Path
from typing import Any, Final, TypeAlias

from app.core.destination import Destination
from app.left_out import left_out
from app.store.credentials import CredentialChain
from app.store.web import CONNECT_TIMEOUT, POOL_SIZE, READ_TIMEOUT

# httpx is another of aiobotocore's HTTP clients, which brings click, rich and pygments with it.
with left_out("httpx"):
    import aioboto3
    import aioboto3.s3.inject  # with the first S3 client it would be loaded on the event loop
    from aiobotocore.config import AioConfig as AioConfig
    from aiobotocore.credentials import AioCredentials
    from aiobotocore.session import AioSession
    from botocore.credentials import ReadOnlyCredentials
    from botocore.loaders import JSONFileLoader, Loader

Session: TypeAlias = aioboto3.Session
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


def new_session(**given: str | None) -> Session:
    """A session with this module's reader; `given` are aioboto3's own names for keys and region.

    Nothing is read yet but the profile. Raises ProfileNotFound where AWS_PROFILE names none.
    """
    return _session(AioSession(), **given)


def client_session(chain: CredentialChain) -> Session:
    """A session whose clients sign each call with the chain's `for_calls`."""
    session = AioSession()
    session.register_component("credential_provider", _Provider(chain))
    return _session(session)


def _session(session: AioSession, **given: str | None) -> Session:
    session.register_component("data_loader", s3_data())
    session.get_scoped_config()
    return aioboto3.Session(botocore_session=session, **given)


def open_client(
    session: Session,
    destination: Destination,
    *,
    read_timeout: int = READ_TIMEOUT,
    attempts: int = 2,
) -> Any:
    """An async context manager that yields an S3 client for the destination's endpoint."""
    return session.client(
        "s3",
        region_name=destination.region,
        endpoint_url=destination.endpoint_url,
        config=AioConfig(
            signature_version="s3v4",
            connect_timeout=CONNECT_TIMEOUT,
            read_timeout=read_timeout,
            retries={"mode": "standard", "total_max_attempts": attempts},
            max_pool_connections=POOL_SIZE,
            # Ceph and others refuse the trailing checksums that botocore adds by itself.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            s3={"addressing_style": destination.addressing_style},
            # An AWS_ENDPOINT_URL in the environment would part the client from the signer.
            ignore_configured_endpoint_urls=True,
        ),
    )


class _Provider(AioCredentials):  # type: ignore[misc]
    """Stands where botocore's chain of providers does, and its credentials, for clients."""

    def __init__(self, chain: CredentialChain) -> None:
        super().__init__("", "")
        self._chain = chain

    async def load_credentials(self) -> "_Provider":
        return self

    async def get_frozen_credentials(self) -> ReadOnlyCredentials:
        found = await self._chain.for_calls()
        return ReadOnlyCredentials(found.access_key, found.secret_key, found.session_token)


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
    @property
    def search_paths(self) -> list[str]:
        """Not to be added to: each session of aioboto3 would add the folder of its resources."""
        return list(super().search_paths)

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
