"""The reader of botocore's data: clients made with it are as botocore's own."""

import sys
from typing import Any

import botocore.session
import pytest

from app.store.session import read_s3_data, s3_data

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
