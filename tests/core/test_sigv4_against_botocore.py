"""botocore as the oracle: the same request, signed at the same moment, is the same to the byte.

The order of the query's parameters is the one thing that may differ: the signature sorts them.
"""

import json
from base64 import b64decode
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from typing import Any
from unittest.mock import patch
from urllib.parse import quote, urlsplit

import botocore.auth
import botocore.credentials
import botocore.session
import pytest
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.core import sigv4
from app.core.object_url import BucketAddress, bucket_address
from app.core.sigv4 import Credentials, policy_signature
from tests.core.signing_strategies import (
    HEADERS,
    OPERATIONS,
    QUERY,
    anything,
    expiries,
    header_names,
    is_comparable,
    keys,
    moments,
    printable,
    query_names,
    secrets,
    sizes,
    targets,
)

CASES = {
    "get_object": 600,
    "put_object": 500,
    "upload_part": 300,
    "head_object": 150,
    "delete_object": 150,
    "any request": 500,
    "post": 400,
}


def test_at_least_2000_cases_are_compared() -> None:
    assert sum(CASES.values()) >= 2000


def compare(name: str, strategy: st.SearchStrategy[Any], check: Callable[[Any], None]) -> None:
    """Run ``check`` on CASES[name] cases, and make sure that so many ran."""
    ran = 0

    @settings(max_examples=CASES[name], deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(strategy)
    def cases(case: Any) -> None:
        nonlocal ran
        check(case)
        ran += 1

    cases()
    assert ran >= CASES[name]


session = botocore.session.Session()


@cache
def client(endpoint: str | None, style: str, region: str, signs: Credentials) -> Any:
    return session.create_client(
        "s3",
        region_name=region,
        endpoint_url=endpoint,
        aws_access_key_id=signs.access_key,
        aws_secret_access_key=signs.secret_key,
        aws_session_token=signs.session_token,
        config=Config(
            signature_version="s3v4",
            request_checksum_calculation="when_required",
            s3={"addressing_style": style, "us_east_1_regional_endpoint": "regional"},
        ),
    )


@contextmanager
def botocore_at(now: datetime) -> Iterator[None]:
    def moment() -> datetime:
        return now.replace(tzinfo=None)

    with (
        patch("botocore.auth.get_current_datetime", moment),
        patch("botocore.signers.get_current_datetime", moment),
    ):
        yield


def pieces(url: str) -> tuple[str, str, str, list[str]]:
    split = urlsplit(url)
    assert not split.fragment
    return split.scheme, split.netloc, split.path, sorted(split.query.split("&"))


@pytest.mark.parametrize("operation", OPERATIONS)
def test_presigned_urls(operation: str) -> None:
    method, optional = OPERATIONS[operation]
    required: dict[str, st.SearchStrategy[Any]] = {}
    if operation == "upload_part":
        required = {"PartNumber": st.integers(1, 10_000), "UploadId": anything.filter(bool)}

    def check(case: tuple[dict[str, Any], dict[str, Any]]) -> None:
        target, parameters = case
        endpoint, style, our_style = target["endpoint"]
        oracle = client(endpoint, style, target["region"], target["credentials"])
        with botocore_at(target["now"]):
            expected = oracle.generate_presigned_url(
                operation,
                Params={"Bucket": target["bucket"], "Key": target["key"], **parameters},
                ExpiresIn=target["expires_in"],
            )
        headers = {HEADERS[n]: str(v) for n, v in parameters.items() if n in HEADERS}
        for name, value in parameters.get("Metadata", {}).items():
            headers[f"x-amz-meta-{name}"] = value
        query = {QUERY[n]: str(v) for n, v in parameters.items() if n in QUERY}
        assert len(headers) + len(query) == (
            len(parameters.keys() - {"Metadata"}) + len(parameters.get("Metadata", {}))
        )
        url = sigv4.presign_url(
            method,
            bucket_address(endpoint, target["bucket"], target["region"], our_style),
            target["key"],
            credentials=target["credentials"],
            now=target["now"],
            expires_in=target["expires_in"],
            headers=headers,
            query=query,
        )
        assert pieces(url) == pieces(expected)

    compare(
        operation,
        st.tuples(
            targets.filter(is_comparable), st.fixed_dictionaries(required, optional=optional)
        ),
        check,
    )


@pytest.mark.parametrize("base_path", ["", "/photos", "/base/photos"])
@pytest.mark.parametrize(
    "query", [{"list-type": "2", "prefix": "a b/\u00e9\n+&="}, {"versions": "", "key-marker": "~"}]
)
def test_a_list_of_a_bucket(base_path: str, query: dict[str, str]) -> None:
    address = BucketAddress("https", "s3.example.com", "photos", base_path, "eu-west-1")
    now = datetime(2026, 11, 29, 21, 16, 20, tzinfo=UTC)
    request = AWSRequest("GET", f"https://s3.example.com{base_path or '/'}", params=query)
    oracle = botocore.auth.S3SigV4QueryAuth(
        botocore.credentials.Credentials("AKEXAMPLE", "secret", "token"), "s3", "eu-west-1", 900
    )
    with botocore_at(now):
        oracle.add_auth(request)
    signer = sigv4.UrlSigner(
        address, Credentials("AKEXAMPLE", "secret", "token"), now=now, expires_in=900
    )
    assert pieces(signer.bucket_url(query)) == pieces(request.url)


def test_any_request() -> None:
    """botocore's signer alone, on hosts, regions, names and secrets that no client would make."""

    def check(case: dict[str, Any]) -> None:
        address = BucketAddress("https", case["host"], "photos", case["base_path"], case["region"])
        signs = Credentials(case["access_key"], case["secret_key"], case["token"])
        request = AWSRequest(
            method=case["method"],
            url=f"https://{case['host']}{case['base_path']}/{quote(case['key'], safe='/~')}",
            headers=case["headers"],
            params=case["query"],
        )
        oracle = botocore.auth.S3SigV4QueryAuth(
            botocore.credentials.Credentials(
                signs.access_key, signs.secret_key, signs.session_token
            ),
            "s3",
            case["region"],
            expires=case["expires_in"],
        )
        with botocore_at(case["now"]):
            oracle.add_auth(request)
        url = sigv4.presign_url(
            case["method"],
            address,
            case["key"],
            credentials=signs,
            now=case["now"],
            expires_in=case["expires_in"],
            headers=case["headers"],
            query=case["query"],
        )
        assert pieces(url) == pieces(request.url)

    compare(
        "any request",
        st.fixed_dictionaries(
            {
                "method": st.sampled_from(["GET", "PUT", "HEAD", "DELETE"]),
                "host": st.from_regex(
                    r"[a-z0-9]([a-z0-9.-]{0,20}[a-z0-9])?(:[1-9][0-9]{3})?", fullmatch=True
                ),
                "base_path": st.sampled_from(["", "/photos", "/base/photos"]),
                "key": keys,
                "region": st.from_regex(r"[A-Za-z0-9_-]{1,30}", fullmatch=True),
                "access_key": secrets,
                "secret_key": secrets,
                "token": st.none() | secrets,
                "now": moments,
                "expires_in": expiries,
                "headers": st.lists(
                    st.tuples(header_names, printable),
                    max_size=6,
                    unique_by=lambda header: header[0].lower(),
                ).map(dict),
                "query": st.dictionaries(query_names, anything, max_size=6),
            }
        ),
        check,
    )


def test_post_policies() -> None:
    no_variables = st.characters(exclude_categories=("Cc", "Cs"), exclude_characters="$")
    values = st.text(no_variables, max_size=60)

    def conditions(policy: str) -> list[str]:
        document = json.loads(b64decode(policy))
        return sorted(json.dumps(condition) for condition in document["conditions"])

    def expiration(policy: str) -> str:
        value: str = json.loads(b64decode(policy))["expiration"]
        return value

    def unsigned(form: Mapping[str, str]) -> dict[str, str]:
        return {k: v for k, v in form.items() if k not in ("policy", "x-amz-signature")}

    def check(case: tuple[dict[str, Any], dict[str, str], tuple[int, int]]) -> None:
        target, fields, (low, high) = case
        endpoint, style, our_style = target["endpoint"]
        address = bucket_address(endpoint, target["bucket"], target["region"], our_style)
        key = target["key"].replace("$", "_")
        signs = target["credentials"]
        with botocore_at(target["now"]):
            expected = client(endpoint, style, target["region"], signs).generate_presigned_post(
                target["bucket"],
                key,
                Fields={"bucket": target["bucket"], **fields},
                Conditions=[
                    *[{name: value} for name, value in fields.items()],
                    ["content-length-range", low, high],
                ],
                ExpiresIn=target["expires_in"],
            )
        url, form = sigv4.presign_post(
            address,
            key,
            credentials=signs,
            now=target["now"],
            expires_in=target["expires_in"],
            fields=fields,
            size_range=(low, high),
        )
        assert url.rstrip("/") == expected["url"].rstrip("/")
        assert unsigned(form) == unsigned(expected["fields"])
        assert conditions(form["policy"]) == conditions(expected["fields"]["policy"])
        assert expiration(form["policy"]) == expiration(expected["fields"]["policy"])

        # The same document gets the same signature, whoever wrote it.
        moment = {"region": target["region"], "now": target["now"]}
        assert (
            policy_signature(expected["fields"]["policy"], credentials=signs, **moment)
            == expected["fields"]["x-amz-signature"]
        )
        oracle = botocore.auth.S3SigV4PostAuth(
            botocore.credentials.Credentials(signs.access_key, signs.secret_key),
            "s3",
            target["region"],
        )
        request = AWSRequest()
        request.context["timestamp"] = form["x-amz-date"]
        assert form["x-amz-signature"] == oracle.signature(form["policy"], request)

    compare(
        "post",
        st.tuples(
            targets.filter(is_comparable),
            st.fixed_dictionaries(
                {},
                optional={
                    "Content-Type": values,
                    "Cache-Control": values,
                    "Content-Disposition": values,
                    "success_action_status": st.just("201"),
                    "acl": st.just("private"),
                    "x-amz-meta-id": values,
                    "x-amz-server-side-encryption": values,
                },
            ),
            st.tuples(sizes, sizes).map(lambda pair: (min(pair), max(pair))),
        ),
        check,
    )
