"""Temporary keys at the gate: their session tokens, and what their end looks like."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from app.embedded.gate_keys import TemporaryKey, write_temporary_keys
from app.embedded.s3 import start_s3
from tests.embedded.steps import Store, new_key, refused, s3_client, send

LATER = timedelta(hours=1)


@dataclass(frozen=True)
class Leased:
    """A gate with a bucket, and the file of its temporary keys."""

    owner: Store
    path: Path

    def store(self, key: TemporaryKey) -> Store:
        client = s3_client(
            self.owner.endpoint_url, key.access_key, key.secret_key, key.session_token
        )
        url = self.owner.endpoint_url
        return Store("embedded", url, key.access_key, key.secret_key, client)


def temporary(**changes: Any) -> TemporaryKey:
    access_key, secret_key = f"ASIA{secrets.token_hex(8).upper()}", secrets.token_hex(20)
    # Tokens of AWS hold characters that a URL must escape.
    token = f"Fwo+/{secrets.token_hex(200)}=="
    made = TemporaryKey(access_key, secret_key, token, datetime.now(UTC) + LATER)
    return replace(made, **changes)


@pytest.fixture(scope="module")
def leased(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Leased]:
    path = tmp_path_factory.mktemp("keys") / "temporary.json"
    keys = ("A" * 20, "s" * 40)
    with start_s3(*keys, temporary_keys=path) as url, closing(s3_client(url, *keys)) as client:
        client.create_bucket(Bucket=Store.bucket)
        yield Leased(Store("embedded", url, *keys, client), path)


def test_every_way_to_sign_works_until_the_end(leased: Leased) -> None:
    key = temporary()
    write_temporary_keys(leased.path, [temporary(), key])
    store, name = leased.store(key), new_key()
    put = store.presign("put_object", Key=name)
    assert send("PUT", put, b"by url").status == 200
    form = store.presign_post(new_key())
    assert store.post(form).status == 204
    assert store.client.get_object(Bucket=store.bucket, Key=name)["Body"].read() == b"by url"
    refused(store.post({n: v for n, v in form.items() if n != "x-amz-security-token"}))
    got = send("GET", store.presign("get_object", Key=store.put()))
    assert got.status == 200
    assert key.session_token not in str(got.headers)

    for as_on_rgw, status, code in ((False, 400, "ExpiredToken"), (True, 403, "AccessDenied")):
        ended = replace(key, ends_at=datetime.now(UTC), ends_as_on_rgw=as_on_rgw)
        write_temporary_keys(leased.path, [ended])
        refused(send("PUT", put, b"late"), status, code)
        refused(store.post(form), status, code)
        with pytest.raises(ClientError, match=code):
            store.client.get_object(Bucket=store.bucket, Key=name)
    write_temporary_keys(leased.path, [])
    refused(send("PUT", put, b"late"), 403, "InvalidAccessKeyId")


def test_another_token_or_none(leased: Leased) -> None:
    key = temporary()
    write_temporary_keys(leased.path, [key])
    for token, status, code in (
        (None, 403, "InvalidAccessKeyId"),
        (temporary().session_token, 400, "InvalidToken"),
    ):
        store = leased.store(replace(key, session_token=token))
        url = store.presign("put_object", Key=new_key())
        refused(send("PUT", url, b"x"), status, code)
        refused(store.post(store.presign_post(new_key())), status, code)
    endless = leased.owner.presign("get_object", Key=new_key())
    refused(send("GET", f"{endless}&X-Amz-Security-Token=x"), 400, "InvalidToken")


def test_a_wrong_secret_is_told_from_a_wrong_token(leased: Leased) -> None:
    key = temporary()
    write_temporary_keys(leased.path, [key])
    thief = leased.store(replace(key, secret_key="0" * 40))
    url = thief.presign("get_object", Key=leased.owner.put())
    refused(send("GET", url), 403, "SignatureDoesNotMatch")
