"""Where a bucket's notifications of arrived objects go: a topic of Ceph, or a queue. Pure.

The shapes are those of the S3 API (AWS, API/API_PutBucketNotificationConfiguration).
"""

import hashlib
from collections.abc import Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import quote, urlsplit

PATH: Final = "/v1/bucket-events"
_ID: Final = "claimcheck-"
_LISTS: Final = (
    *("TopicConfigurations", "QueueConfigurations", "LambdaFunctionConfigurations"),
    "EventBridgeConfiguration",
)


class Receivers(NamedTuple):
    """Who may be told: `url` is pushed to by Ceph, with the token in its query; the queue is
    written to by AWS, and has an ARN. None: not set.
    """

    url: str | None = None
    queue_arn: str | None = None

    @property
    def topic(self) -> str | None:
        """The name of the topic that pushes to the URL. Another URL or token makes another: Ceph
        copies a topic's address into each bucket's notifications, and keeps it there.
        """
        if self.url is None:
            return None
        return f"claimcheck-{hashlib.sha256(self.url.encode()).hexdigest()[:16]}"


NOBODY: Final = Receivers()


def push_url(address: str, token: str | None) -> str:
    """The URL for the store, of the service at this address."""
    return address + PATH + (f"?token={quote(token, safe='')}" if token else "")


def queue_arn(url: str, region: str) -> str:
    """The ARN of an SQS queue by its URL; `region` is where its host names none.

    Raises ValueError for a URL that is none of a queue.
    """
    parts = urlsplit(url)
    path = parts.path.strip("/").split("/")
    if len(path) != 2 or not path[0].isdigit():
        raise ValueError("it is not a queue's URL: https://sqs.<region>.amazonaws.com/<id>/<name>")
    partition = "aws-cn" if (parts.hostname or "").endswith(".cn") else "aws"
    if queue_region(url, region).startswith("us-gov-"):
        partition = "aws-us-gov"
    return f"arn:{partition}:sqs:{queue_region(url, region)}:{path[0]}:{path[1]}"


def queue_region(url: str, region: str) -> str:
    """The region in the host of a queue's URL, else `region`."""
    host = (urlsplit(url).hostname or "").split(".")
    return host[1] if is_of_aws(url) and host[0] == "sqs" else region


def is_of_aws(url: str) -> bool:
    """Whether the URL's host is one of AWS."""
    return (urlsplit(url).hostname or "").endswith((".amazonaws.com", ".amazonaws.com.cn"))


def notifications(
    found: Mapping[str, Any], prefixes: Mapping[str, str], kind: str, arn: str
) -> dict[str, Any]:
    """The notifications of a bucket with ours in place of earlier ones: of each object that arrives
    under a destination's prefix (by its name), to the topic or queue with that ARN.

    `kind` is `Topic` or `Queue`. An ARN with `*` for a region is one that is not known yet.
    """
    result = {name: found[name] for name in _LISTS if name in found}
    for name in _LISTS[:3]:
        result[name] = [each for each in found.get(name, ()) if not _is_ours(each)]
    list_name, arn_name = f"{kind}Configurations", f"{kind}Arn"
    arns = [str(each[arn_name]) for each in found.get(list_name, ()) if _is_ours(each)]
    if "*" in arn:
        end = arn.rpartition("*")[2]
        arn = next((known for known in arns if known.endswith(end)), arn)
    result[list_name] = result[list_name] + [
        {
            "Id": f"{_ID}{name}",
            arn_name: arn,
            "Events": ["s3:ObjectCreated:*"],
            "Filter": {"Key": {"FilterRules": [{"Name": "prefix", "Value": prefix}]}},
        }
        for name, prefix in sorted(prefixes.items())
    ]
    return {name: value for name, value in result.items() if value or name == _LISTS[3]}


def with_arn(config: Mapping[str, Any], arn: str) -> dict[str, Any]:
    """The notifications with a topic's ARN in place of one that was not known."""
    topics = [
        {**each, "TopicArn": arn} if "*" in each["TopicArn"] else each
        for each in config.get("TopicConfigurations", ())
    ]
    return {**config, "TopicConfigurations": topics}


def normalized(found: Mapping[str, Any]) -> dict[str, Any]:
    """A bucket's notifications as it has them, in the order and spelling of `notifications`."""
    result: dict[str, Any] = {}
    for name in _LISTS[:3]:
        entries = sorted(found.get(name, ()), key=lambda each: (_is_ours(each), each.get("Id", "")))
        for each in entries:
            # AWS answers with `Prefix`.
            rules = each.get("Filter", {}).get("Key", {}).get("FilterRules", ())
            for rule in rules:
                rule["Name"] = rule["Name"].lower()
        if entries:
            result[name] = entries
    if _LISTS[3] in found:
        result[_LISTS[3]] = found[_LISTS[3]]
    return result


def _is_ours(entry: Mapping[str, Any]) -> bool:
    return str(entry.get("Id", "")).startswith(_ID)
