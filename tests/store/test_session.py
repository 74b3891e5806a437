"""The reader of botocore's data: clients made with it are as botocore's own."""

import asyncio
import sys
from typing import Any

import botocore.session
import pytest

from app.core.destination import Destination
from app.store import client as store_client
from app.store.credentials import CredentialChain, FixedKeys
from app.store.session import new_session, open_client, read_s3_data, s3_data

SERVICES = ("s3", "sns", "sqs", "sts", "sso", "sso-oidc")


def client(service: str, region: str, loader: Any = None) -> Any:
    session = botocore.session.Session()
    session.set_credentials("key", "secret")
    if loader is not None:
        session.register_component("data_loader", loader)
    return session.create_client(service, region)


@pytest.mark.parametrize("region", ["us-east-1", "eu-central-1", "cn-north-1", "us-gov-west-1"])
@pytest.mark.parametrize("service", SERVICES)
def test_its_clients_go_where_botocores_go(service: str, region: str) -> None:
    ours, theirs = client(service, region, s3_data()), client(service, region)
    assert ours.meta.endpoint_url == theirs.meta.endpoint_url
    assert ours.meta.region_name == theirs.meta.region_name
    assert ours.meta.partition == theirs.meta.partition
    assert ours.meta.config.signature_version == theirs.meta.config.signature_version
    model, other = ours.meta.service_model, theirs.meta.service_model
    assert model.operation_names == other.operation_names
    for name in model.shape_names:
        shape, as_it_was = model.shape_for(name), other.shape_for(name)
        members = getattr(shape, "members", {})
        assert members.keys() == getattr(as_it_was, "members", {}).keys()
        assert shape.required_members == as_it_was.required_members if members else True


def test_it_keeps_no_more_than_is_needed() -> None:
    read_s3_data()
    found = s3_data().load_data("endpoints")["partitions"][0]["services"]
    assert {"s3", "sts"} <= found.keys()
    assert len(found) <= len(SERVICES)
    kept = str(s3_data().load_service_model("s3", "service-2"))
    assert "documentation': '" not in kept.replace("documentation': ''", "")
    assert sys.getsizeof(kept) < 700_000


def test_a_session_adds_nothing_to_it() -> None:
    paths = [*s3_data().search_paths]
    new_session()
    assert s3_data().search_paths == paths


async def test_each_client_is_opened_at_its_first_use_and_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    opened = []

    def counted(*given: Any, **options: Any) -> Any:
        opened.append(options)
        return open_client(*given, **options)

    monkeypatch.setattr("app.store.session.open_client", counted)
    first, second = (
        Destination(name=name, bucket="b", region=region, endpoint_url="http://127.0.0.1:1")
        for name, region in (("first", "us-east-1"), ("second", "eu-west-1"))
    )
    chain = CredentialChain(lambda: FixedKeys("key", "secret", None))
    async with store_client.open_buckets(chain, [first, second]) as buckets:
        assert not opened
        asked = [buckets.client(first) for _ in range(5)] + [buckets.slow_client(first)]
        *same, slow = await asyncio.gather(*asked)
        assert {id(client) for client in same} == {id(await buckets.client(first))}
        assert len(opened) == 2
        assert slow.meta.config.read_timeout > same[0].meta.config.read_timeout
        assert (await buckets.client(second)).meta.region_name == "eu-west-1"
        assert len(opened) == 3
        assert await buckets.web() is await buckets.web()
