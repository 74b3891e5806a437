"""A world: the service's processes, its database, its store, and clients, for one seed's life.

It sees whatever happens: each committed transaction (`ledger`), each effect on the bucket, each
answer; and judges it at once. The first thing that is wrong ends it.
"""

import asyncio
import json
from collections.abc import Callable, Iterable
from contextvars import ContextVar
from datetime import datetime, timedelta
from functools import partial
from itertools import product
from typing import Any, Final

import app.events.deliver
import app.runtime.resources
from app.access import api_keys
from app.core.principal import Principal, Scope
from app.settings.model import load_settings
from tests.simulation import ledger, webhook_receiver
from tests.simulation.answers import Answer, judge
from tests.simulation.around import Around
from tests.simulation.books import commit
from tests.simulation.bucket_view import BucketView
from tests.simulation.clients import live
from tests.simulation.ending import bring_to_an_end, until_done
from tests.simulation.engine import Engine
from tests.simulation.faults import Fault
from tests.simulation.hand import Hand, Unanswered
from tests.simulation.invariants import COMMITS, EFFECTS
from tests.simulation.loop import owner
from tests.simulation.model import Change, Model, Row
from tests.simulation.plan import BUCKET, OTHER_BUCKET, WEBS, Plan
from tests.simulation.process import Process
from tests.simulation.scans import SCANNED
from tests.simulation.server import Server
from tests.simulation.store.body import Body
from tests.simulation.store.manners import ALL
from tests.simulation.store.service_door import opener
from tests.simulation.store.simulated import Store

ENDPOINT: Final = "https://store.example"
ACCESS_KEY, SECRET_KEY = "SIMULATEDKEY00000001", "simulated/secret+key00000000000000000001"
# Seconds that a client waits for the service (uploader.js), and for the bucket.
PATIENCE: Final = 60.0
_SCOPES: Final = [s.value for s in Scope if s not in {Scope.ADMIN, Scope.FILES_ALL}]
_asking: ContextVar[Answer | None] = ContextVar("asking", default=None)


class World(Engine):
    """One life of the service. `failures` has what went wrong, first of all the cause."""

    tenant: Final = "shop"

    def __init__(
        self, plan: Plan, server: Server, echo: Callable[[str], None] | None = None
    ) -> None:
        faults: list[Fault] = [
            fault for n, fault in enumerate(plan.faults) if plan.keeps(f"fault {n}")
        ]
        super().__init__(plan.seed, server, faults, echo)
        self.plan = plan
        environ = plan.settings | {
            "DATABASE_URL": server.dsn,
            "AWS_S3_ENDPOINT_URL": ENDPOINT,
            "AWS_STORAGE_BUCKET_NAME": BUCKET,
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        }
        self.settings = self.deployed = load_settings(environ)
        if plan.deployment and plan.keeps("deployment"):
            self.deployed = load_settings(environ | plan.deployment.settings)
        self.store = Store(
            ALL[plan.store], clock=self.now, seam=self.seam, chance=self.chance.of("store")
        )
        for bucket in (BUCKET, OTHER_BUCKET):
            self.store.add_bucket(bucket, versioned=plan.is_versioned)
        self.around = Around(self, plan.around)
        self.around.add_key(ACCESS_KEY, SECRET_KEY)
        self.view = BucketView(self.store)
        self.model = Model(
            bucket=self.view,
            skew=timedelta(
                seconds=1
                + max(map(abs, plan.skews.values()), default=0.0)
                + sum(abs(seconds) for _, _, seconds in plan.clock_steps)
            ),
            limits=dict(self.settings.quota.owner),
            lifetimes={n: d.longest_link for n, d in self.settings.destinations.items()},
            keepless=frozenset(
                name for name, d in self.settings.destinations.items() if d.unconfirmed == "delete"
            ),
            name=self.name,
        )
        self.keys: dict[str, str] = {}
        self.failures: list[str] = []
        self.failed = asyncio.Event()
        # Events as the feed's reader and the webhook's receiver had them.
        self.fed: list[str] = []
        self.cursor: str | None = None
        self.feed_begins = 0  # the position behind which it has events
        self.received: list[str] = []
        self.has_webhook = plan.worker
        self.hook = ""
        self.secrets: webhook_receiver.Secrets | None = None
        self.ids: dict[str, str] = {}  # by key
        self.others: set[str] = set()  # keys of objects that were there before the service
        self.ended: dict[str, datetime] = {}  # tokens, and when
        self.holders: dict[str, str] = {}  # of leases, by file: processes
        # When the call was sent that takes effect.
        self.sent_at = 0.0
        # Nothing keeps processes from extending their leases.
        self.is_calm = all(fault.kind not in {"database", "commit"} for fault in faults)
        self.steps = 0

    # What it is called in the story.

    def name(self, row: Row) -> str:
        return self.call(row["id"])

    def call(self, identity: str) -> str:
        """The file's name, by its id or its key."""
        return self.story.call("file", self.ids.get(identity, identity))

    def keeps_rules(self, destination: str) -> bool:
        """Whether no deployment scans its files otherwise, or has it begin anew in a bucket, where
        its rules hold no more for what it had in the one before.
        """
        old = self.settings.destinations[destination]
        new = self.deployed.destinations.get(destination, old)
        return (old.scan, old.bucket) == (new.scan, new.bucket)

    def deletes_rejected(self, destination: str) -> bool:
        return self.settings.destinations[destination].rejected_objects == "delete"

    # Seams.

    def patches(self) -> Iterable[tuple[Any, str, Any]]:
        yield from self.around.patches()
        yield app.runtime.resources, "open_buckets", opener(self.store, owner.get, _clock)
        yield app.events.deliver, "open_client", webhook_receiver.no_client
        yield app.events.deliver, "post", partial(webhook_receiver.post, self)

    async def seam(
        self,
        process: Process | None,
        kind: str,
        name: str,
        effect: Callable[[], Any],
        who: str = "",
    ) -> Any:
        self.steps += 1
        if kind == "browser" and (answer := _asking.get()) is not None:
            effect = partial(self._answered, answer, effect)
        elif kind in {"store", "browser"}:
            effect = partial(self._stored, effect, self.loop.time())
        return await super().seam(process, kind, name, effect, who)

    def _stored(self, effect: Callable[[], Any], sent_at: float) -> Any:
        """An effect on the bucket, and what is to be said of it."""
        self.sent_at = sent_at
        try:
            return effect()
        finally:
            for change in self.view.read_on():
                rules = EFFECTS if change.who in self.processes else []
                self.story.tell(change.who, f"has the bucket {change.what} {self.call(change.key)}")
                for rule in rules:
                    self.blame(rule(self, change))

    async def _answered(self, answer: Answer, effect: Callable[[], Any]) -> Any:
        """A request at the service, and what is to be said of its answer."""
        answer.began = self.now()
        try:
            async with asyncio.timeout(600):
                reply = await effect()
        except TimeoutError:
            self.blame([f"{answer.who} asked to {answer.what}, and there is no answer"])
            raise
        answer.ended, answer.status, answer.json = self.now(), reply.status, _json(reply)
        answer.file_id = answer.file_id or (answer.json or {}).get("id")
        about = {"file": self.call(answer.file_id)} if answer.file_id else {}
        said = f"is answered {answer.problem or reply.status}"
        self.story.tell(answer.who, said, to=answer.what, **about)
        self.blame(judge(self.model, answer))
        return reply

    def after_write(self) -> None:
        """Judge what was committed."""
        for changes in ledger.take(self.server.control):
            now = self.now()
            for change in changes:
                self._tell(change)
            self.blame(commit(self.model, changes, now))
            process = owner.get()
            if isinstance(process, Process):
                for rule, change in product(COMMITS, changes):
                    self.blame(rule(self, process.name, change))

    def _tell(self, change: Change) -> None:
        if change.table != "files":
            return
        row = change.after or change.before or {}
        self.ids[row["key"]] = row["id"]
        before, after = (r and r["state"] for r in (change.before, change.after))
        if before != after:
            self.story.tell(self.call(row["id"]), f"is {after or 'forgotten'}")

    def blame(self, words: Iterable[str]) -> None:
        """Note what is wrong: the life ends."""
        for said in words:
            self.failures.append(said)
            self.story.tell("!", said)
            self.failed.set()

    # What clients do.

    async def ask(
        self,
        who: str,
        what: str,
        method: str,
        path: str,
        json: Any = None,
        *,
        token: str,
        web: str,
        hand: Hand | None = None,
        headers: dict[str, str] | None = None,
        patience: float = PATIENCE,
    ) -> Any:
        """One request to one of the web processes. Raises Unanswered."""
        file_id = hand.id if hand is not None and what not in {"announce", "sign"} else None
        if file_id is not None and what != "pry":
            self.model.asked.add((what.partition(" ")[0], file_id))
        process = self.processes[web]
        if not process.running:
            process = next((p for p in map(self.processes.get, WEBS) if p and p.running), process)
        about = {"file": self.call(file_id)} if file_id else {}
        self.story.tell(who, f"asks {process.name} to {what}", **about)
        answer = Answer(who, what, self.now(), self.now(), 0, None, hand, file_id)
        answer.token_ended = self.ended.get(token)
        said = {"Authorization": f"Bearer {token}", **(headers or {})}
        _asking.set(answer)
        try:
            async with asyncio.timeout(patience):
                return await process.request(method, path, json, said, who)
        except (ConnectionError, TimeoutError) as error:
            self.story.tell(who, "has no answer", to=what)
            raise Unanswered from error
        finally:
            _asking.set(None)

    async def send(
        self,
        hand: Hand,
        method: str,
        url: str,
        headers: dict[str, str],
        body: Body,
        form: dict[str, str] | None,
    ) -> Any:
        """A browser's request to the bucket. Raises Unanswered."""
        try:
            async with asyncio.timeout(PATIENCE):
                reply = await self.store.browser(
                    method, url, headers, body, form=form, who=f"{hand.who}'s browser"
                )
        except (ConnectionError, TimeoutError) as error:
            self.story.tell(hand.who, f"has no answer to a {method} from the bucket")
            raise Unanswered from error
        self.story.tell(hand.who, f"is answered {reply.status} by the bucket", to=method)
        return reply

    async def read(self, hand: Hand, file_id: str, link: str) -> None:
        """Read a file by a link, and judge what is served."""
        began = self.now()
        try:
            reply = await self.send(hand, "GET", link, {}, Body(), None)
        except Unanswered:
            return
        states = self.model.states(file_id, began, self.now())
        row = self.model.files.get(file_id)
        is_infected = reply.status == 200 and reply.body.digest in self.model.marked
        if is_infected and self.plan.around.scanner and self.keeps_rules(SCANNED):
            self.blame([f"{self.call(file_id)} is served, and is infected"])
        if reply.status == 200:
            confirmed = self.model.digests.get(file_id)
            # What was signed for a key works until it ends; the sweep takes what comes by it.
            removed = self.model.claimed.get(file_id)
            keys = [(bucket, hand.key or "") for bucket in (BUCKET, OTHER_BUCKET)]
            there = [version for place in keys for version in self.view.there(*place)]
            is_replay = removed is not None and any(version.at >= removed for version in there)
            if not states & {"confirmed", "released", "removing"} and not is_replay:
                self.blame([f"{self.call(file_id)} is served, and it was {states}"])
            is_sealed = row is None or row["sealed"] != "no"
            if is_sealed and reply.body.digest != confirmed and not is_replay:
                self.blame([f"{self.call(file_id)} is served with other bytes than confirmed"])
        elif reply.status == 404 and states == {"confirmed"}:
            self.blame([f"{self.call(file_id)} is confirmed, and its link finds nothing"])

    async def read_feed(self, web: str, who: str = "office") -> bool:
        """Read on in the feed; whether that was its end."""
        path = "/v1/events?limit=500" + (f"&after={self.cursor}" if self.cursor else "")
        before = self.cursor
        try:
            reply = await self.ask(who, "feed", "GET", path, token=self.keys["office"], web=web)
        except Unanswered:
            return False
        # Two tabs of one reader: the one that comes later goes on from where it was.
        if reply.status != 200 or self.cursor != before:
            return False
        items = reply.json["items"]
        self.fed += [item["id"] for item in items]
        self.cursor = reply.json["cursor"]
        if before is None:
            self.feed_begins = int(reply.json["cursor"]) - len(items)
        return not items

    # Its life.

    async def life(self) -> None:
        """From the start to the end; ends at once where anything is wrong."""
        living = asyncio.create_task(self._live())
        failing = asyncio.create_task(self.failed.wait())
        done, _ = await asyncio.wait({living, failing}, return_when=asyncio.FIRST_COMPLETED)
        if living in done:
            living.result()

    async def _live(self) -> None:
        self.faults.on = False
        await self._set_up()
        self.around.begin()
        self.faults.on = True
        for number, step in enumerate(self.plan.clock_steps):
            if self.plan.keeps(f"clock step {number}"):
                name, at, seconds = step
                self.loop.call_later(at, self.processes[name].step_clock, seconds)
        deployment = self.plan.deployment if self.plan.keeps("deployment") else None
        for name, at in deployment.at.items() if deployment else ():
            self.loop.call_later(at, self._deploy, name)
        lives = [life for life in self.plan.lives if self.plan.keeps(f"life {life.number}")]
        await asyncio.gather(*(live(self, life) for life in lives))
        self.faults.on = False
        await self.around.end()
        await bring_to_an_end(self)

    def _deploy(self, name: str) -> None:
        """Start a process, if there is one of this name, with other settings."""
        process = self.processes.get(name)
        if process is not None:
            self.story.tell(name, "is deployed anew")
            process.settings = self.deployed
            process.kill(2.0)

    async def _set_up(self) -> None:
        for name in WEBS:
            skew = self.plan.skews.get(name, 0.0)
            await Process(self, name, self.settings, clock_offset=skew).start()
        web = self.processes["web1"]
        for who, tenant in (("ann", "shop"), ("bob", "shop"), ("office", "shop"), ("eve", "other")):
            scopes = [*_SCOPES, Scope.FILES_ALL.value] if who == "office" else _SCOPES
            maker = Principal("maker", tenant, frozenset(Scope))
            making = partial(
                api_keys.create,
                caller=maker,
                name=who,
                owner=who,
                scopes=scopes,
                lifetime=None,
            )
            _, self.keys[who] = await until_done(web, making)
        await self.read_feed("web1")
        if self.plan.worker and self.plan.keeps("worker"):
            hook = "POST", "/v1/webhooks", {"url": "https://hooks.example/in"}
            made = await self.ask("office", "hook", *hook, token=self.keys["office"], web="web1")
            self.has_webhook = made.status == 201
            if self.has_webhook:
                self.hook = f"/v1/webhooks/{made.json['id']}"
                self.secrets = webhook_receiver.Secrets(made.json["secret"])
            skew = self.plan.skews.get("worker", 0.0)
            worker = Process(self, "worker", self.settings, worker=True, clock_offset=skew)
            await worker.start()
        else:
            self.has_webhook = False


def _clock() -> Callable[[], datetime]:
    process = owner.get()
    assert isinstance(process, Process)
    return process.clock


def _json(reply: Any) -> Any:
    try:
        return reply.json
    except json.JSONDecodeError:
        return {"text": reply.body.decode(errors="replace")}
