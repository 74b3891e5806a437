"""The simulated stores are held against the real ones: one history is sent to both."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from typing import Any, NamedTuple

import httpx
import pytest

from app.core.destination import Destination
from app.core.sigv4 import Credentials
from app.embedded.s3 import start_s3
from app.store.client import open_buckets
from app.store.credentials import CredentialChain, FixedKeys, utc_now
from tests.simulation.store import manners
from tests.simulation.store.body import Body
from tests.simulation.store.histories import HISTORIES
from tests.simulation.store.keys import Key
from tests.simulation.store.manners import Manners
from tests.simulation.store.service_door import opener
from tests.simulation.store.side import Replied, Side, Told
from tests.simulation.store.simulated import Store
from tests.support.service import ACCESS_KEY, ORIGIN, SECRET_KEY
from tests.support.stores import rclone, rgw, s3_client, seaweedfs, swift

BUCKET = "simulation"


class Server(NamedTuple):
    """A running store and its owner's keys."""

    endpoint_url: str
    access_key: str
    secret_key: str


@contextmanager
def open_gate() -> Iterator[Server]:
    with start_s3(ACCESS_KEY, SECRET_KEY) as endpoint_url:
        yield Server(endpoint_url, ACCESS_KEY, SECRET_KEY)


@contextmanager
def open_rgw() -> Iterator[Server]:
    with rgw.start_rgw() as gateway:
        yield Server(gateway.endpoint_url, gateway.owner.access_key, gateway.owner.secret_key)


@contextmanager
def open_rclone() -> Iterator[Server]:
    with rclone.start_rclone(ORIGIN) as server:
        yield Server(server.endpoint_url, server.access_key, server.secret_key)


def on(
    opened: Any, of: Manners, *versioned: bool, unavailable: str | None = None, slow: bool = True
) -> Any:
    marks = [pytest.mark.slow] if slow else []
    if unavailable:
        marks.append(pytest.mark.skip(reason=unavailable))
    return pytest.param(opened, of, versioned, id=of.name, marks=marks)


@pytest.mark.parametrize(
    ("opened", "of", "versioned"),
    [
        on(open_gate, manners.MOTO, True, False, slow=False),
        on(open_rclone, manners.RCLONE, False, unavailable=rclone.available(), slow=False),
        on(open_rgw, manners.RGW, True, False, unavailable=rgw.available()),
        on(
            seaweedfs.start_seaweedfs,
            *(manners.SEAWEEDFS, True),
            unavailable=seaweedfs.available(),
        ),
        on(swift.start_swift, manners.SWIFT, True, unavailable=swift.available()),
    ],
)
async def test_the_simulated_store_answers_as_the_real_one(
    opened: Any, of: Manners, versioned: tuple[bool, ...]
) -> None:
    start: AbstractContextManager[Any] = opened()
    with start as server:
        for keeps in versioned:
            bucket = f"{BUCKET}-versioned" if keeps else BUCKET
            real = await in_reality(server, bucket, versioned=keeps)
            simulated = await in_simulation(of, versioned=keeps)
            differences = [
                (history, *pair)
                for history in real
                for pair in zip(real[history], simulated[history], strict=True)
                if pair[0] != pair[1]
            ]
            assert differences == []


async def in_reality(server: Any, bucket: str, *, versioned: bool) -> dict[str, Told]:
    keys = server.access_key, server.secret_key
    owner = s3_client(server.endpoint_url, *keys)
    owner.create_bucket(Bucket=bucket)
    if versioned:
        owner.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    to, chain = destination(server.endpoint_url, bucket), chain_of(*keys)
    async with httpx.AsyncClient(timeout=60) as web, open_buckets(chain, [to]) as buckets:

        async def send(method: str, url: str, **sent: Any) -> Replied:
            if "form" in sent:
                files = {"file": ("file", sent["data"])}
                said = await web.post(url, data=sent["form"], files=files)
            else:
                content = sent.get("data")
                said = await web.request(method, url, headers=sent.get("headers"), content=content)
            return Replied(said.status_code, dict(said.headers), said.content)

        return await told(Side(buckets, to, send, Credentials(*keys), utc_now))


async def in_simulation(of: Manners, *, versioned: bool) -> dict[str, Told]:
    store = Store(of, clock=utc_now)
    store.add_bucket(BUCKET, versioned=versioned)
    store.add_key(ACCESS_KEY, Key(SECRET_KEY))
    to = destination("http://store.test", BUCKET)

    async def send(method: str, url: str, **sent: Any) -> Replied:
        body = Body.real(sent.get("data") or b"")
        said = await store.browser(method, url, sent.get("headers"), body, form=sent.get("form"))
        return Replied(said.status, said.headers, said.body.read())

    async with opener(store)(chain_of(ACCESS_KEY, SECRET_KEY), [to]) as buckets:
        return await told(Side(buckets, to, send, Credentials(ACCESS_KEY, SECRET_KEY), utc_now))


def destination(endpoint_url: str, bucket: str) -> Destination:
    return Destination(
        name="simulation",
        bucket=bucket,
        region="us-east-1",
        endpoint_url=endpoint_url,
        public_endpoint_url=endpoint_url,
    )


def chain_of(access_key: str, secret_key: str) -> CredentialChain:
    return CredentialChain(lambda: FixedKeys(access_key, secret_key, None))


async def told(side: Side) -> dict[str, Told]:
    """Each history, from its beginning."""
    found = {}
    for history in HISTORIES:
        each = replace(side, told=[], _names={})
        await history(each)
        found[history.__name__] = each.told
    return found
