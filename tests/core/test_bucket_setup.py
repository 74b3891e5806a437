from typing import Any

import pytest

from app.core.bucket_setup import (
    Aspect,
    Needs,
    StoreKind,
    grants_to_everyone,
    identify_store,
    is_same,
    needs_of,
    notes,
    target_config,
)
from app.core.destination import Destination
from app.core.notifications import NOBODY, Receivers, push_url, queue_arn, with_arn

ORIGIN = "https://www.example.com"
QUEUE = "arn:aws:sqs:eu-central-1:123456789012:arrivals"
RECEIVERS = Receivers(push_url("https://c.example.com", "s3cret +token"), QUEUE)


def needs(**changes: Any) -> Needs:
    destination = Destination(
        name="files", bucket="bkt", region="eu-central-1", **changes.pop("destination", {})
    )
    return needs_of([destination], changes.pop("origins", [ORIGIN]), RECEIVERS)


def want(
    aspect: Aspect, found: Any = None, kind: StoreKind = StoreKind.OTHER, **changes: Any
) -> Any:
    return target_config(aspect, needs(**changes), found or {}, kind)


@pytest.mark.parametrize("aspect", list(Aspect))
@pytest.mark.parametrize("kind", list(StoreKind))
def test_what_is_as_wanted_stays(aspect: Aspect, kind: StoreKind) -> None:
    once = want(aspect, kind=kind)
    assert once
    assert is_same(want(aspect, once, kind), once)


# --- CORS


def test_rules_of_others_stay_behind_ours() -> None:
    theirs = {"ID": "cdn", "AllowedOrigins": ["*"], "AllowedMethods": ["GET"]}
    old = {"ID": "claimcheck", "AllowedOrigins": ["https://old"], "AllowedMethods": ["GET"]}
    [ours, kept] = want(Aspect.CORS, {"CORSRules": [theirs, old]})["CORSRules"]
    assert kept == theirs
    assert ours["AllowedOrigins"] == [ORIGIN]
    assert ours["AllowedMethods"] == ["GET", "HEAD", "POST", "PUT"]
    assert {"ETag", "Content-Range", "Accept-Ranges"} < {*ours["ExposeHeaders"]}
    assert "*" not in ours["AllowedHeaders"]


def test_our_rule_has_to_be_the_first() -> None:
    """Behind another that matches, the browser never comes to ours."""
    [ours] = want(Aspect.CORS)["CORSRules"]
    theirs = {"AllowedOrigins": ["*"], "AllowedMethods": ["GET", "PUT", "POST"]}
    shuffled = {**ours, "AllowedMethods": ours["AllowedMethods"][::-1]}
    first = {"CORSRules": [shuffled, theirs]}
    assert want(Aspect.CORS, first) == first
    assert want(Aspect.CORS, {"CORSRules": [theirs, shuffled]}) == {"CORSRules": [ours, theirs]}


def test_without_origins_no_rule() -> None:
    assert want(Aspect.CORS, origins=[]) == {}
    assert "CLAIMCHECK_CORS_ORIGINS" in notes(needs(origins=[]), StoreKind.OTHER, {})[0]


def test_ours_goes_with_the_last_origin() -> None:
    once = want(Aspect.CORS)
    assert want(Aspect.CORS, once, origins=[]) == {}
    theirs = {"AllowedOrigins": ["https://other"], "AllowedMethods": ["GET"]}
    both = {"CORSRules": [*once["CORSRules"], theirs]}
    assert want(Aspect.CORS, both, origins=[]) == {"CORSRules": [theirs]}


# --- Lifecycle


def test_lifecycle_is_merged_and_expires_nothing() -> None:
    theirs = {"ID": "logs", "Status": "Enabled", "Prefix": "logs/", "Expiration": {"Days": 30}}
    old = {"ID": "claimcheck-abort-gone", "Status": "Enabled", "Filter": {"Prefix": "gone/"}}
    found = {
        "Rules": [theirs, old],
        "TransitionDefaultMinimumObjectSize": "varies_by_storage_class",
    }
    merged = want(Aspect.LIFECYCLE, found)
    assert merged["TransitionDefaultMinimumObjectSize"] == "varies_by_storage_class"
    [kept, ours] = merged["Rules"]
    # The same rule, in the form that may stand beside ours.
    assert kept == {
        "ID": "logs",
        "Status": "Enabled",
        "Filter": {"Prefix": "logs/"},
        "Expiration": {"Days": 30},
    }
    assert ours == {
        "ID": "claimcheck-abort-files",
        "Status": "Enabled",
        "Filter": {"Prefix": "files/"},
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 12},
    }


# --- Policy


def test_the_policy_denies_and_keeps_what_others_allow() -> None:
    theirs = {"Sid": "Cdn", "Effect": "Allow", "Principal": {"AWS": "arn:x"}, "Action": "s3:Get*"}
    policy = want(Aspect.POLICY, {"Version": "2012-10-17", "Statement": theirs})
    [kept, tls, age] = policy["Statement"]
    assert kept == theirs
    assert {tls["Effect"], age["Effect"]} == {"Deny"}
    assert tls["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert age["Resource"] == ["arn:aws:s3:::bkt/files/*"]
    # An hour, and the quarter that a link's window adds.
    assert age["Condition"] == {"NumericGreaterThan": {"s3:signatureAge": "4500000"}}


def test_over_http_tls_is_not_demanded() -> None:
    plain = {"endpoint_url": "http://127.0.0.1:9000"}
    [age] = want(Aspect.POLICY, destination=plain)["Statement"]
    assert age["Sid"] == "ClaimcheckSignatureAge"
    assert any("http://" in note for note in notes(needs(destination=plain), StoreKind.OTHER, {}))


def test_copies_are_forbidden_on_ceph_alone() -> None:
    """Elsewhere they take a signature, and the owner may want some."""
    statements = want(Aspect.POLICY, kind=StoreKind.CEPH)["Statement"]
    [copies] = [each for each in statements if each["Sid"] == "ClaimcheckCopies"]
    assert (copies["Effect"], copies["Action"]) == ("Deny", "s3:PutObject")
    assert copies["Resource"] == ["arn:aws:s3:::bkt/files/*"]
    assert "Copies" not in str(want(Aspect.POLICY))
    once = want(Aspect.POLICY, kind=StoreKind.CEPH)
    assert want(Aspect.POLICY, once, StoreKind.CEPH) == once


def test_a_limit_that_is_too_short_now_is_taken_back() -> None:
    week = {"link_expires_in": 604_800, "endpoint_url": "http://127.0.0.1:9000"}
    short = want(Aspect.POLICY, destination={"endpoint_url": "http://127.0.0.1:9000"})
    assert want(Aspect.POLICY, short, destination=week) == {}


@pytest.mark.parametrize(
    ("statement", "everyone"),
    [
        ({"Effect": "Allow", "Principal": "*"}, True),
        ({"Effect": "Allow", "Principal": {"AWS": "*"}}, True),
        ({"Effect": "Allow", "Principal": {"AWS": ["arn:x", "*"]}}, True),
        ({"Effect": "Deny", "Principal": "*"}, False),
        ({"Effect": "Allow", "Principal": {"AWS": "arn:x"}}, False),
        ({"Effect": "Allow", "Principal": {"Service": "cloudfront.amazonaws.com"}}, False),
        ({"Effect": "Allow", "Principal": "*", "Condition": {"StringEquals": {}}}, False),
    ],
)
def test_who_lets_everyone_in(statement: dict[str, Any], everyone: bool) -> None:
    assert grants_to_everyone({"Statement": statement}) is everyone
    assert grants_to_everyone({"Statement": [{"Effect": "Deny"}, statement]}) is everyone


def test_what_others_have_set_and_does_harm_is_noted() -> None:
    def noted(found: dict[Aspect, Any]) -> list[str]:
        return notes(needs(), StoreKind.OTHER, found)

    everyone = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject"}
    [note] = noted({Aspect.POLICY: {"Statement": [everyone]}})
    assert "lets everybody in" in note
    early = {"AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 3}}
    theirs = {"ID": "tidy", "Status": "Enabled", "Filter": {}, **early}
    [note] = noted({Aspect.LIFECYCLE: {"Rules": [theirs]}})
    assert "tidy" in note
    assert "12 days" in note
    # Ours of an older version is no longer there once it is applied.
    ours = {**theirs, "ID": "claimcheck-abort-files"}
    assert noted({Aspect.LIFECYCLE: {"Rules": [ours]}}) == []
    assert noted({aspect: want(aspect) for aspect in Aspect}) == []


# --- The rest


def test_ceph_keeps_the_two_switches_that_stop_it() -> None:
    assert all(want(Aspect.PUBLIC_ACCESS).values())
    assert want(Aspect.PUBLIC_ACCESS, kind=StoreKind.CEPH) == {
        "BlockPublicAcls": False,
        "IgnorePublicAcls": True,
        "BlockPublicPolicy": False,
        "RestrictPublicBuckets": True,
    }
    on = dict.fromkeys(want(Aspect.PUBLIC_ACCESS), True)
    assert want(Aspect.PUBLIC_ACCESS, on, StoreKind.CEPH) == on


def test_encryption_of_the_owner_stays() -> None:
    kms = {"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"}}]}
    assert want(Aspect.ENCRYPTION, kms) == kms


@pytest.mark.parametrize("acl", ["private", "bucket-owner-read"])
def test_ownership_is_left_alone_where_it_would_refuse_an_acl(acl: str) -> None:
    assert want(Aspect.OWNERSHIP, destination={"acl": acl}) == {}
    fine = {"acl": "bucket-owner-full-control"}
    assert want(Aspect.OWNERSHIP, destination=fine) == want(Aspect.OWNERSHIP)


def test_which_store_it_is() -> None:
    assert identify_store({"x-rgw-object-count": "0"}) is StoreKind.CEPH
    request_id = "tx000001481762f2ce68d44-006b036a4e-100a-default"
    assert identify_store({"x-amz-request-id": request_id}) is StoreKind.CEPH
    assert identify_store({"x-amz-request-id": "4EAC80B23F2B41AB"}) is StoreKind.OTHER
    assert identify_store({}) is StoreKind.OTHER


# --- notifications


def test_each_destination_has_a_notification_beside_those_of_others() -> None:
    theirs = {"Id": "theirs", "QueueArn": "arn:other", "Events": ["s3:ObjectCreated:*"]}
    old = {"Id": "claimcheck-old", "QueueArn": QUEUE, "Events": ["s3:ObjectCreated:*"]}
    found = {"QueueConfigurations": [old, theirs], "EventBridgeConfiguration": {}}
    wanted = want(Aspect.NOTIFICATIONS, found)
    [kept, ours] = wanted["QueueConfigurations"]
    assert kept == theirs
    assert (ours["Id"], ours["QueueArn"]) == ("claimcheck-files", QUEUE)
    assert ours["Filter"]["Key"]["FilterRules"] == [{"Name": "prefix", "Value": "files/"}]
    assert wanted["EventBridgeConfiguration"] == {}


def test_a_topic_is_of_one_address_and_token() -> None:
    once = want(Aspect.NOTIFICATIONS, kind=StoreKind.CEPH)
    [topic] = once["TopicConfigurations"]
    assert topic["TopicArn"] == f"arn:aws:sns:*::{RECEIVERS.topic}"
    assert "s3cret" not in str(once)
    made = with_arn(once, f"arn:aws:sns:default::{RECEIVERS.topic}")
    assert want(Aspect.NOTIFICATIONS, made, StoreKind.CEPH) == made
    other = Receivers(push_url("https://c.example.com", "another token"))
    changed = target_config(Aspect.NOTIFICATIONS, needs_of_files(other), made, StoreKind.CEPH)
    [replaced] = changed["TopicConfigurations"]
    assert replaced["TopicArn"] == f"arn:aws:sns:*::{other.topic}"


def needs_of_files(receivers: Receivers) -> Needs:
    return needs_of([Destination(name="files", bucket="bkt")], [], receivers)


def test_where_nobody_is_to_be_told_what_is_there_stays() -> None:
    theirs = {"TopicConfigurations": [{"Id": "theirs", "TopicArn": "a"}]}
    for kind, receivers in (
        *((kind, NOBODY) for kind in StoreKind),
        # Ceph has no queues, and AWS pushes to no URL without being asked to.
        (StoreKind.CEPH, Receivers(queue_arn=QUEUE)),
        (StoreKind.OTHER, Receivers(url="https://c.example.com")),
    ):
        needs = needs_of_files(receivers)
        assert target_config(Aspect.NOTIFICATIONS, needs, theirs, kind) == theirs


@pytest.mark.parametrize(
    ("url", "arn"),
    [
        (
            "https://sqs.eu-west-1.amazonaws.com/123456789012/q.fifo",
            "arn:aws:sqs:eu-west-1:123456789012:q.fifo",
        ),
        (
            "https://sqs.cn-north-1.amazonaws.com.cn/123456789012/q",
            "arn:aws-cn:sqs:cn-north-1:123456789012:q",
        ),
        (
            "https://sqs.us-gov-west-1.amazonaws.com/123456789012/q",
            "arn:aws-us-gov:sqs:us-gov-west-1:123456789012:q",
        ),
        ("http://127.0.0.1:9324/000000000000/q", "arn:aws:sqs:us-east-1:000000000000:q"),
    ],
)
def test_a_queue_has_an_arn(url: str, arn: str) -> None:
    assert queue_arn(url, "us-east-1") == arn


@pytest.mark.parametrize(
    "url", ["https://sqs.eu-west-1.amazonaws.com", "https://x/q", "https://x/a/b/c"]
)
def test_what_is_no_queue(url: str) -> None:
    with pytest.raises(ValueError, match="queue"):
        queue_arn(url, "us-east-1")
