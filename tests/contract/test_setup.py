"""`claimcheck bucket plan` and `apply` on every store, from before the bucket exists."""

from app.core.bucket_setup import Aspect
from app.runtime.resources import open_session
from app.settings.model import load_settings
from app.store.setup.provision import Outcome, apply, plan
from tests.contract.flow import Flow
from tests.contract.stores import PAGES, having
from tests.support.service import Store


@having()
async def test_what_is_planned_is_done_and_leaves_the_bucket_open(flow: Flow) -> None:
    owner, name = flow.store.owner, f"{flow.store.bucket}-planned"
    keys = owner._get_credentials()
    store = Store(flow.store.service.endpoint_url, keys.access_key, keys.secret_key)
    settings = load_settings(store.environ(name) | PAGES)
    session = open_session(settings)
    [planned] = await plan(session, settings)
    assert planned.missing
    [applied] = await apply(session, settings)
    for before, after in zip(planned.changes, applied.changes, strict=True):
        assert before.outcome in {Outcome.CHANGE, Outcome.UNSEEN}
        if before.outcome is Outcome.CHANGE:
            assert (after.outcome, after.after) == (Outcome.CHANGED, before.after), after
    # Whatever the store made of it, the bucket takes and serves objects.
    where = {"Bucket": name, "Key": "files/x"}
    owner.put_object(**where, Body=b"x")
    assert owner.get_object(**where)["Body"].read() == b"x"
    outcomes = {change.aspect: change.outcome for change in applied.changes}
    if flow.kind.name == "seaweedfs":
        # It has no key to encrypt with.
        assert outcomes[Aspect.ENCRYPTION] is Outcome.UNDONE
        [undone] = [each for each in applied.changes if each.outcome is Outcome.UNDONE]
        assert undone.reason.startswith("PutObject: 500")
    if flow.kind.name.startswith("rgw"):
        certain = {each.aspect for each in planned.changes if each.outcome is Outcome.CHANGE}
        assert certain == set(outcomes) - {Aspect.OWNERSHIP, Aspect.ENCRYPTION}
    left = owner.list_objects_v2(Bucket=name)["Contents"]
    assert [entry["Key"] for entry in left] == ["files/x"]
