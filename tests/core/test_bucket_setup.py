from typing import Any

import pytest

from app.core.bucket_setup import (
    Aspect,
    Needs,
    StoreKind,
    covers,
    grants_to_everyone,
    identify,
    is_same,
    needs_of,
    notes,
    rules_for,
    wanted,
)
from app.core.destination import Destination

ORIGIN = "https://www.example.com"


def needs(**changes: Any) -> Needs:
    destination = Destination(
        name="files", bucket="bkt", region="eu-central-1", **changes.pop("destination", {})
    )
    return needs_of([destination], changes.pop("origins", [ORIGIN]))


def want(
    aspect: Aspect, found: Any = None, kind: StoreKind = StoreKind.OTHER, **changes: Any
) -> Any:
    return wanted(aspect, needs(**changes), found or {}, kind)


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
    assert "ETag" in ours["ExposeHeaders"]
    assert "*" not in ours["AllowedHeaders"]


def test_our_rule_stays_where_it_stands() -> None:
    [ours] = want(Aspect.CORS)["CORSRules"]
    theirs = {"AllowedOrigins": ["https://other"], "AllowedMethods": ["GET"]}
    shuffled = {**ours, "AllowedMethods": ours["AllowedMethods"][::-1]}
    found = {"CORSRules": [theirs, shuffled]}
    assert want(Aspect.CORS, found) == found


def test_without_origins_no_rule() -> None:
    assert want(Aspect.CORS, origins=[]) == {}
    assert "CLAIMCHECK_CORS_ORIGINS" in notes(needs(origins=[]), StoreKind.OTHER)[0]


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
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 8},
    }


@pytest.mark.parametrize(("seconds", "days"), [(60, 2), (86_400, 2), (86_401, 3), (604_800, 8)])
def test_nothing_is_aborted_that_may_go_on(seconds: int, days: int) -> None:
    [rule] = want(Aspect.LIFECYCLE, destination={"multipart_expires_in": seconds})["Rules"]
    assert rule["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": days}


def rule(**content: Any) -> dict[str, Any]:
    return {"Rules": [{"ID": "r", "Status": "Enabled", **content}]}


ABORT = {"AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7}}


@pytest.mark.parametrize(
    ("lifecycle", "covered"),
    [
        ({}, False),
        (rule(Filter={"Prefix": ""}, **ABORT), True),
        (rule(Filter={}, **ABORT), True),
        (rule(Prefix="files/", **ABORT), True),
        (rule(Filter={"Prefix": "fi"}, **ABORT), True),
        (rule(Filter={"Prefix": "files/some/"}, **ABORT), False),
        (rule(Filter={"Tag": {"Key": "a", "Value": "b"}}, **ABORT), False),
        (rule(Filter={"Prefix": ""}, **ABORT) | {"x": 1}, True),
        ({"Rules": [{"ID": "r", "Status": "Disabled", "Filter": {}, **ABORT}]}, False),
        (rule(Filter={}, Expiration={"Days": 1}), False),
    ],
)
def test_which_rules_abort_what_is_left(lifecycle: dict[str, Any], covered: bool) -> None:
    assert covers(lifecycle, "files/") is covered


def test_which_rules_take_files_away() -> None:
    expire = {"Expiration": {"Days": 1}}
    assert rules_for(rule(Filter={"Prefix": "files/a/"}, **expire), "files/", "Expiration") == ["r"]
    assert rules_for(rule(Prefix="", **expire), "files/", "Expiration") == ["r"]
    both = {"And": {"Prefix": "files/", "Tags": []}}
    assert rules_for(rule(Filter=both, **expire), "files/", "Expiration") == ["r"]
    assert rules_for(rule(Filter={"Prefix": "logs/"}, **expire), "files/", "Expiration") == []
    assert rules_for(rule(Filter={}, **ABORT), "files/", "Expiration") == []


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
    assert any("http://" in note for note in notes(needs(destination=plain), StoreKind.OTHER))


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
    assert identify({"x-rgw-object-count": "0"}) is StoreKind.CEPH
    request_id = "tx000001481762f2ce68d44-006b036a4e-100a-default"
    assert identify({"x-amz-request-id": request_id}) is StoreKind.CEPH
    assert identify({"x-amz-request-id": "4EAC80B23F2B41AB"}) is StoreKind.OTHER
    assert identify({}) is StoreKind.OTHER
