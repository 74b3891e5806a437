"""CORS at the gate: the bucket's own rules decide what browsers of other origins may do."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError

from app.embedded.gate_cors import CorsRule, actual, preflight
from app.embedded.s3_error import S3Error
from tests.embedded.steps import ORIGIN, Answer, Store, new_key, send

FOREIGN = "https://evil.example"


def ask(
    store: Store, origin: str, method: str = "PUT", headers: str = "", bucket: str | None = None
) -> Answer:
    asked = {"Origin": origin, "Access-Control-Request-Method": method}
    if headers:
        asked["Access-Control-Request-Headers"] = headers
    return send("OPTIONS", store.url(bucket or store.bucket, "some/key.png"), headers=asked)


def test_preflight_from_an_allowed_origin(store: Store) -> None:
    answer = ask(store, ORIGIN, "PUT", "content-type, x-amz-meta-id")
    assert answer.status == 200
    assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert "PUT" in answer.headers["Access-Control-Allow-Methods"]
    allowed = answer.headers["Access-Control-Allow-Headers"].lower()
    assert {name.strip() for name in allowed.split(",")} == {"content-type", "x-amz-meta-id"}
    assert answer.headers["Access-Control-Max-Age"] == "600"


def test_headers_are_allowed_in_any_case(store: Store) -> None:
    assert ask(store, ORIGIN, "PUT", "Content-Type,X-AMZ-Meta-Id").status == 200


def test_preflight_with_a_wildcard_and_on_the_bucket(store: Store) -> None:
    assert ask(store, "https://a.trusted.example", "GET").status == 200
    asked = {"Origin": ORIGIN, "Access-Control-Request-Method": "POST"}
    assert send("OPTIONS", f"{store.endpoint_url}/{store.bucket}", headers=asked).status == 200


@pytest.mark.parametrize(
    ("origin", "method", "headers"),
    [
        (FOREIGN, "PUT", ""),
        ("https://app.example.evil.example", "PUT", ""),
        ("null", "GET", ""),
        ("https://APP.example", "PUT", ""),
        ("HTTPS://app.example", "PUT", ""),
        ("https://a.TRUSTED.example", "GET", ""),
        (ORIGIN, "DELETE", ""),
        (ORIGIN, "PUT", "content-type, authorization"),
    ],
)
def test_preflight_refused(store: Store, origin: str, method: str, headers: str) -> None:
    answer = ask(store, origin, method, headers)
    assert answer.status == 403
    assert answer.headers["Access-Control-Allow-Origin"] is None


def test_preflight_without_rules(embedded: Store) -> None:
    # RGW's code is AccessDenied.
    for bucket in (embedded.other, "gate-missing"):
        answer = ask(embedded, ORIGIN, bucket=bucket)
        assert (answer.status, answer.code) == (403, "AccessForbidden")


def test_options_that_are_no_preflight(store: Store) -> None:
    for headers in ({}, {"Origin": ORIGIN}):
        answer = send("OPTIONS", store.url(store.bucket, "k"), headers=headers)
        assert answer.status == 400


def test_rules_are_the_buckets_own_of_now(store: Store) -> None:
    bucket = "gate-cors"
    store.client.create_bucket(Bucket=bucket)
    assert ask(store, FOREIGN, "GET", bucket=bucket).status == 403
    rule = {"AllowedOrigins": ["*"], "AllowedMethods": ["GET"]}
    store.client.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": [rule]})
    answer = ask(store, FOREIGN, "GET", bucket=bucket)
    assert answer.status == 200
    # RGW names the origin instead.
    assert answer.headers["Access-Control-Allow-Origin"] in ("*", FOREIGN)
    store.client.delete_bucket_cors(Bucket=bucket)
    assert ask(store, FOREIGN, "GET", bucket=bucket).status == 403


def test_a_page_may_read_the_answers(store: Store) -> None:
    url = store.presign("put_object", Key=new_key())
    answer = send("PUT", url, b"x", {"Origin": ORIGIN})
    assert answer.status == 200
    assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN
    exposed = answer.headers["Access-Control-Expose-Headers"]
    assert {name.strip().lower() for name in exposed.split(",")} == {"etag", "x-amz-version-id"}
    posted = store.post(store.presign_post(new_key()), headers={"Origin": ORIGIN})
    assert posted.headers["Access-Control-Allow-Origin"] == ORIGIN
    got = send("GET", store.presign("get_object", Key=store.put()), headers={"Origin": ORIGIN})
    assert got.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert "Origin" in got.headers["Vary"]


def test_a_page_may_read_refusals(store: Store) -> None:
    key = new_key()
    url = store.presign("put_object", Key=key, ContentType="image/png")
    forged = send("PUT", url, b"x", {"Origin": ORIGIN, "Content-Type": "text/html"})
    assert forged.status == 403
    # RGW 16.2 refuses a signature before it has looked at the bucket's rules.
    if store.name == "embedded":
        assert forged.headers["Access-Control-Allow-Origin"] == ORIGIN
    for answer in (
        send("GET", store.presign("get_object", Key=key), headers={"Origin": ORIGIN}),
        store.post(
            store.presign_post(key, conditions=[["content-length-range", 0, 1]]),
            b"xx",
            headers={"Origin": ORIGIN},
        ),
    ):
        assert answer.status in (400, 404)
        assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN


def test_a_foreign_page_may_not(store: Store) -> None:
    url = store.presign("get_object", Key=store.put())
    answer = send("GET", url, headers={"Origin": FOREIGN})
    assert answer.status == 200
    assert answer.headers["Access-Control-Allow-Origin"] is None
    assert send("GET", url).headers["Access-Control-Allow-Origin"] is None


def test_first_matching_rule_decides() -> None:
    rules = [
        CorsRule((ORIGIN,), ("GET",), expose=("ETag",)),
        CorsRule(("*",), ("GET", "PUT"), ("*",), expose=("x-amz-version-id",)),
    ]
    assert actual(rules, "GET", {"origin": ORIGIN})["Access-Control-Expose-Headers"] == "ETag"
    assert actual(rules, "PUT", {"origin": ORIGIN})["Access-Control-Allow-Origin"] == "*"
    asked = {
        "origin": ORIGIN,
        "access-control-request-method": "GET",
        "access-control-request-headers": "x-any",
    }
    # The first allows no headers, so the second answers.
    assert preflight(rules, asked)["Access-Control-Allow-Origin"] == "*"
    with pytest.raises(S3Error) as refusal:
        preflight(rules[:1], asked)
    assert refusal.value.status == 403


def test_rules_that_name_no_known_method(store: Store) -> None:
    rule = {"AllowedOrigins": ["*"], "AllowedMethods": ["FETCH"]}
    with pytest.raises(ClientError):
        store.client.put_bucket_cors(Bucket=store.other, CORSConfiguration={"CORSRules": [rule]})
