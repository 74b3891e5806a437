from app.core.destination import Destination
from app.core.iam import queue_policy, service_policy, setup_policy
from app.core.notifications import Receivers

FILES = Destination(name="files", bucket="one", region="eu-central-1")


def statement(policy: dict, sid: str) -> dict:
    [found] = [s for s in policy["Statement"] if s["Sid"] == sid]
    return found


def test_objects_lie_under_the_prefixes_of_their_own_bucket() -> None:
    other = Destination(name="x", bucket="two", region="eu-central-1", key_prefix="a/b/")
    policy = service_policy([FILES, other])
    assert statement(policy, "ClaimcheckObjects")["Resource"] == [
        "arn:aws:s3:::one/files/*",
        "arn:aws:s3:::two/a/b/*",
    ]
    assert statement(policy, "ClaimcheckLists")["Resource"] == [
        "arn:aws:s3:::one",
        "arn:aws:s3:::two",
    ]


def test_the_service_can_change_no_bucket() -> None:
    for each in service_policy([FILES])["Statement"]:
        assert each["Effect"] == "Allow"
        for action in each["Action"]:
            assert "*" not in action
            assert not action.startswith(("s3:PutBucket", "s3:DeleteBucket", "s3:PutLifecycle"))
            assert "Acl" not in action


def test_setting_up_reads_and_writes_no_object_but_its_own() -> None:
    each, probes = setup_policy([FILES])["Statement"]
    assert each["Resource"] == ["arn:aws:s3:::one"]
    assert probes["Resource"] == ["arn:aws:s3:::one/files/claimcheck-probe-*"]
    assert not {"s3:GetObject", "s3:PutObject", "s3:DeleteObject"} & set(each["Action"])
    assert "s3:PutBucketCORS" in each["Action"]


def test_partitions_have_arns_of_their_own() -> None:
    china = FILES.model_copy(update={"region": "cn-north-1"})
    government = FILES.model_copy(update={"region": "us-gov-west-1"})
    assert statement(service_policy([china]), "ClaimcheckLists")["Resource"] == [
        "arn:aws-cn:s3:::one"
    ]
    assert statement(service_policy([government]), "ClaimcheckObjects")["Resource"] == [
        "arn:aws-us-gov:s3:::one/files/*"
    ]


def test_keys_of_kms() -> None:
    def with_key(key: str) -> Destination:
        return FILES.model_copy(update={"kms_key_id": key})

    def use(key: str) -> dict:
        return statement(service_policy([with_key(key)]), "ClaimcheckKey1")

    arn = "arn:aws:kms:eu-central-1:123456789012:key/abc"
    assert use(arn)["Resource"] == [arn]
    assert use("abc")["Resource"] == ["arn:aws:kms:eu-central-1:*:key/abc"]
    assert "Condition" not in use("abc")
    for alias in ("alias/photos", "arn:aws:kms:eu-central-1:123456789012:alias/photos"):
        assert use(alias)["Resource"] == ["arn:aws:kms:eu-central-1:*:key/*"]
        assert use(alias)["Condition"] == {
            "ForAnyValue:StringEquals": {"kms:ResourceAliases": "alias/photos"}
        }


def test_a_queue_is_read_by_the_service_and_written_by_the_buckets() -> None:
    queue = "arn:aws:sqs:eu-central-1:123456789012:arrivals"
    receivers = Receivers(queue_arn=queue)
    read = statement(service_policy([FILES], receivers), "ClaimcheckQueue")
    assert (read["Resource"], read["Action"]) == (
        [queue],
        ["sqs:DeleteMessage", "sqs:ReceiveMessage"],
    )
    asked = statement(setup_policy([FILES], receivers), "ClaimcheckNotifications")
    assert asked["Resource"] == ["arn:aws:s3:::one"]
    [written] = queue_policy([FILES], receivers)["Statement"]
    assert written["Principal"] == {"Service": "s3.amazonaws.com"}
    assert written["Condition"] == {"ArnLike": {"aws:SourceArn": ["arn:aws:s3:::one"]}}
    assert written["Action"] == ["sqs:SendMessage"]
    assert "Queue" not in str(service_policy([FILES]))
    assert "Notification" not in str(setup_policy([FILES]))
