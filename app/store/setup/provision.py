"""Set buckets up as the destinations need: plan the difference, then apply it.

Configuration that is not ours stays. What a store cannot do, or accepts and does not keep, is
reported and is no failure. A setting that keeps objects from being written or read is taken back.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final
from uuid import uuid4

from botocore.exceptions import ClientError

from app.core.bucket_setup import (
    Aspect,
    Config,
    Needs,
    StoreKind,
    is_same,
    needs_of,
    notes,
    target_config,
)
from app.core.destination import Destination
from app.core.iam import PROBE_NAME
from app.core.notifications import NOBODY, Receivers, push_url, queue_arn, with_arn
from app.settings.model import Settings
from app.store.client import UNKNOWN_CALL, error_code, translated
from app.store.session import Session, open_client
from app.store.setup.config import (
    BucketState,
    Unread,
    create_bucket,
    create_topic,
    read_aspect,
    read_bucket,
    try_object,
    write_aspect,
)

# Codes of stores that do not know a call: some take it for CreateBucket.
_CANNOT: Final = UNKNOWN_CALL | {"BucketAlreadyExists", "BucketAlreadyOwnedByYou"}
# Neither CORS, a rule of the lifecycle nor a notification refuses what the service sends.
_SHUTTING: Final = frozenset(Aspect) - {Aspect.CORS, Aspect.LIFECYCLE, Aspect.NOTIFICATIONS}


class Outcome(StrEnum):
    """The plan for, or the result of, one aspect."""

    SAME = "is as wanted"
    CHANGE = "will change"
    UNSEEN = "depends on the store, and is looked at once the bucket is there"
    CHANGED = "changed"
    UNDONE = "was taken back, for no object could be written and read under it"
    SHUT = "keeps objects from being written and read, and cannot be taken back"
    UNKNOWN = "the store does not have it"
    IGNORED = "the store accepted it and did not keep it"
    DENIED = "these keys may not look at it"
    REFUSED = "the store refused it"


@dataclass(frozen=True, slots=True)
class Change:
    """One aspect of a bucket: what it is and what it is to be. `reason` is the store's own."""

    aspect: Aspect
    outcome: Outcome
    before: Config
    after: Config
    reason: str = ""


@dataclass(frozen=True, slots=True)
class BucketPlan:
    """The plan for one bucket, or its result. `missing`: the bucket has to be made first.

    `closed`: why no object could be written and read before anything was changed.
    """

    destination: Destination
    needs: Needs
    kind: StoreKind
    missing: bool
    changes: tuple[Change, ...]
    closed: str | None = None

    @property
    def notes(self) -> list[str]:
        found = {change.aspect: change.before for change in self.changes}
        sentences = notes(self.needs, self.kind, found)
        if self.closed is not None:
            sentences.append(
                f"These keys could not write and read an object before anything was changed "
                f"({self.closed}), so the settings were not tried with one: run `claimcheck "
                "doctor`."
            )
        return sentences

    def has(self, *outcomes: Outcome) -> bool:
        return any(change.outcome in outcomes for change in self.changes)

    @property
    def pending(self) -> bool:
        """Whether there is anything to apply."""
        return self.missing or self.has(Outcome.CHANGE)


def browser_origins(settings: Settings) -> list[str]:
    """The origins whose pages send to the buckets: with `auth = none` this machine's own, too."""
    own = own_origins(settings) if settings.open_here else []
    return [*settings.cors_origins, *own]


def own_origins(settings: Settings) -> list[str]:
    """The origins of the service's own pages, as a browser on this machine opens them."""
    names = {"127.0.0.1": None, "localhost": None}
    if settings.host not in (None, "", "0.0.0.0", "::"):  # noqa: S104  compared, not listened on
        names[f"[{settings.host}]" if ":" in settings.host else settings.host.lower()] = None
    # Browsers leave the usual port out of an origin.
    port = "" if settings.port == 80 else f":{settings.port}"
    return [f"http://{name}{port}" for name in names]


def by_bucket(settings: Settings) -> list[list[Destination]]:
    """The destinations that have a bucket, those of one bucket together."""
    found: dict[tuple[str | None, str], list[Destination]] = {}
    for destination in settings.destinations.values():
        if destination.bucket:
            found.setdefault((destination.endpoint_url, destination.bucket), []).append(destination)
    return list(found.values())


def receivers_of(settings: Settings) -> Receivers:
    """Whom the settings have the stores tell of objects that arrive."""
    token, address = settings.bucket_events_token, settings.bucket_events_url
    queue, region = settings.bucket_events_queue, settings.aws_s3_region_name
    return Receivers(
        address and push_url(address, None if token is None else token.get_secret_value()),
        queue and queue_arn(queue, region),
    )


async def plan(session: Session, settings: Settings) -> list[BucketPlan]:
    """The changes that each bucket needs; nothing is changed.

    Raises BucketRefused, BucketUnavailable, SigningUnavailable.
    """
    plans = []
    receivers = receivers_of(settings)
    for destinations in by_bucket(settings):
        async with open_client(session, destinations[0]) as client:
            state = await read_bucket(client, destinations[0].bucket, notifications=any(receivers))
        plans.append(compare(destinations, browser_origins(settings), state, receivers))
    return plans


async def apply(session: Session, settings: Settings) -> list[BucketPlan]:
    """Plan once more and carry it out: each change comes back with what became of it.

    A bucket that is missing is made. Every write is read back, and after each setting that can shut
    a bucket an object is written and read. Raises what `plan` raises.
    """
    applied, receivers = [], receivers_of(settings)
    for destinations in by_bucket(settings):
        bucket = destinations[0].bucket
        async with open_client(session, destinations[0]) as client:
            state = await read_bucket(client, bucket, notifications=any(receivers))
            if not state.exists:
                async with translated(bucket):
                    await create_bucket(client, bucket, destinations[0].region)
                state = await read_bucket(client, bucket, notifications=any(receivers))
            planned = compare(destinations, browser_origins(settings), state, receivers)
            if planned.kind is StoreKind.CEPH and receivers.url is not None:
                planned = await _with_topic(session, planned, receivers.url)
            # One after the other: their order matters.
            closed = await _try(client, planned) if planned.pending else None
            changes = [
                await _carry_out(client, planned, change, tried=closed is None)
                for change in planned.changes
            ]
        applied.append(replace(planned, changes=tuple(changes), closed=closed))
    return applied


def compare(
    destinations: Sequence[Destination],
    origins: Sequence[str],
    state: BucketState,
    receivers: Receivers = NOBODY,
) -> BucketPlan:
    """The plan for a bucket: what all its destinations need, compared with how it is set."""
    needs = needs_of(destinations, origins, receivers)
    kind = state.kind
    unseen = frozenset() if state.exists else _unseen(destinations[0], kind)
    changes = []
    for aspect, found in state.aspects.items():
        if isinstance(found, Unread):
            outcome = Outcome.UNKNOWN if found is Unread.UNKNOWN else Outcome.DENIED
            changes.append(Change(aspect, outcome, {}, {}))
            continue
        after = target_config(aspect, needs, found, kind)
        if is_same(found, after):
            outcome = Outcome.SAME
        else:
            outcome = Outcome.UNSEEN if aspect in unseen else Outcome.CHANGE
        changes.append(Change(aspect, outcome, found, after))
    return BucketPlan(destinations[0], needs, kind, not state.exists, tuple(changes))


async def _with_topic(session: Session, planned: BucketPlan, url: str) -> BucketPlan:
    """The plan with the ARN of the topic that pushes to the URL, which is made if need be.

    Ceph takes its calls where S3's are taken (Ceph, radosgw, "Bucket Notifications").
    """
    aspects = [change.aspect for change in planned.changes]
    change = planned.changes[aspects.index(Aspect.NOTIFICATIONS)]
    if change.outcome is not Outcome.CHANGE:
        return planned
    topic = planned.needs.receivers.topic or ""
    try:
        arn = await create_topic(session, planned.destination, topic, url)
    except ClientError as error:
        done = replace(change, outcome=Outcome.REFUSED, reason=error_code(error))
    else:
        done = replace(change, after=with_arn(change.after, arn))
    changes = [done if each is change else each for each in planned.changes]
    return replace(planned, changes=tuple(changes))


def _unseen(destination: Destination, kind: StoreKind) -> frozenset[Aspect]:
    """The aspects of a bucket to be made of which nobody can tell whether it will lack them."""
    if kind is StoreKind.CEPH:
        # Which of the two it has depends on its version, of which it says nothing.
        return frozenset({Aspect.OWNERSHIP, Aspect.ENCRYPTION})
    if destination.endpoint_url is None:
        # New buckets of AWS are set so already (AWS userguide, "Default settings for new S3
        # buckets").
        return frozenset({Aspect.OWNERSHIP, Aspect.ENCRYPTION, Aspect.PUBLIC_ACCESS})
    return frozenset(Aspect)


async def _carry_out(client: Any, planned: BucketPlan, change: Change, *, tried: bool) -> Change:
    """`tried`: an object could be written and read before, so that one is tried again."""
    if change.outcome is not Outcome.CHANGE:
        return change
    aspect, bucket = change.aspect, planned.needs.bucket
    try:
        await write_aspect(client, bucket, aspect, change.after)
    except ClientError as error:
        said = error.response["Error"]
        outcome = Outcome.UNKNOWN if said["Code"] in _CANNOT else Outcome.REFUSED
        reason = ": ".join(filter(None, (said["Code"], said.get("Message"))))
        return replace(change, outcome=outcome, reason=reason)
    # As a store puts it: some fill in defaults of their own.
    kept = await read_aspect(client, bucket, aspect)
    done = not isinstance(kept, Unread) and is_same(
        kept, target_config(aspect, planned.needs, kept, planned.kind)
    )
    if tried and aspect in _SHUTTING and (shut := await _try(client, planned)):
        return await _take_back(client, planned, replace(change, reason=shut))
    return replace(change, outcome=Outcome.CHANGED if done else Outcome.IGNORED)


async def _try(client: Any, planned: BucketPlan) -> str | None:
    """Why no object can be written and read where the destinations' are; None if one can."""
    key = f"{planned.destination.prefix}{PROBE_NAME}{uuid4()}"
    return await try_object(client, planned.needs.bucket, key)


async def _take_back(client: Any, planned: BucketPlan, change: Change) -> Change:
    """Set the aspect as it was before, and see whether the bucket is open again."""
    try:
        await write_aspect(client, planned.needs.bucket, change.aspect, change.before)
    except ClientError as error:
        reason = f"{change.reason}; then {error_code(error)}"
        return replace(change, outcome=Outcome.SHUT, reason=reason)
    still = await _try(client, planned)
    return replace(change, outcome=Outcome.SHUT if still else Outcome.UNDONE)
