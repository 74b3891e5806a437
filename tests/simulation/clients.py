"""Clients: what browsers, back ends and strangers do, step by step (`STEPS`).

A step does what its client would do, judges nothing, and ends whatever happens: what comes of it is
judged by `answers` and the model.
"""

import asyncio
from base64 import b64encode
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlencode
from uuid import UUID

from app.core.principal import Principal, Scope
from app.uploads.restore import restore_file
from tests.simulation.model import Intent
from tests.simulation.plan import Life, Step
from tests.simulation.store.body import Body

if TYPE_CHECKING:
    from tests.simulation.world import World

# Beginnings of files of each kind, and what they are.
HEADS: Final = {
    "png": b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x10\0\0\0\x10\x08\x06\0\0\0\x1f\xf3\xffa",
    "gif": b"GIF89a\x10\0\x10\0\xf0\0\0\0\0\0\xff\xff\xff!\xf9\x04\0\0\0\0\0,",
    "pdf": b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n",
    "html": b"<!DOCTYPE html><html><body><script>alert(1)</script>",
    "text": b"name,number\n",
    "noise": b"\x01\x02\x03\x04\x05\x06\x07",
}
_FILL: Final = {"text": b"some,words\n", "html": b"<p>words</p>"}
# Problems that a client waits out, besides those of status 5xx.
PASSING: Final = {"upload-not-arrived", "removal-under-way", "request-under-way"}


class Unanswered(Exception):
    """The request had no answer: refused, lost on the way, or given up waiting for."""


@dataclass
class Hand:
    """What a client has in hand of the one file that its life is about."""

    world: "World"
    life: Life
    body: Body
    announcement: dict[str, Any] = field(default_factory=dict)
    door: str = "uploader"
    token: str | None = None  # of its upload session
    session: str | None = None
    id: str | None = None
    key: str | None = None
    url: str | None = None
    upload: dict[str, Any] | None = None
    parts: list[dict[str, Any]] = field(default_factory=list)
    links: list[tuple[str, str]] = field(default_factory=list)  # (file, link)

    @property
    def who(self) -> str:
        return self.life.owner

    async def ask(
        self, what: str, step: Step, method: str, path: str, json: Any = None, **more: Any
    ) -> Any:
        """One request, as whoever this is. Raises Unanswered."""
        token = self.token or self.world.keys[self.who]
        return await self.world.ask(
            self.who, what, method, path, json, token=token, web=step.how["web"], hand=self, **more
        )

    async def insist(self, what: str, step: Step, *request: Any, **more: Any) -> Any:
        """The request again and again, while it has no answer or one that will pass; its last
        answer, None where it never had one.
        """
        reply, wait = None, 1.0
        for _ in range(step.how["tries"]):
            try:
                reply = await self.ask(what, step, *request, **more)
            except Unanswered:
                reply = None
            if reply is not None and reply.status < 500 and problem_of(reply) not in PASSING:
                break
            await asyncio.sleep(wait)
            wait = min(2 * wait, 15.0)
        return reply

    def take(self, announced: dict[str, Any]) -> None:
        """Take in the answer to an announcement."""
        self.id, self.key, self.url = announced["id"], announced["key"], announced["url"]
        self.upload = announced.get("upload")
        self.parts = (self.upload or {}).get("parts", [])
        self.intend()

    def intend(self) -> None:
        assert self.id is not None
        honest = self.announcement["contents"] != "html"
        digest = str(self.body.digest)
        self.world.model.intents[self.id] = Intent(digest, self.body.length, honest)


def problem_of(reply: Any) -> str | None:
    """The slug of the problem in an answer."""
    if not isinstance(reply.json, dict) or reply.status < 400:
        return None
    return str(reply.json.get("type", "")).rpartition(":")[2] or None


def body_of(life: Life, contents: str, size: int) -> Body:
    """Bytes of a kind, other ones in each life."""
    head = HEADS[contents]
    if size > 100_000:
        return Body.large(size, str(life.number), head)
    fill = _FILL.get(contents, b"\x02%d\x03" % life.number) + b"%d\n" % life.number
    return Body.real((head + fill * size)[:size])


# Uploading.


async def announce(hand: Hand, step: Step) -> None:
    how = step.how
    hand.announcement, hand.door = how, how["door"]
    if hand.door == "session":
        await _mint(hand, step)
    if hand.door == "uppy":
        await _announce_to_uppy(hand, step)
        return
    json = {name: how[name] for name in ("destination", "filename", "content_type", "size")}
    if how["destination"] == "tables":
        json["checksum_md5"] = b64encode(hand.body.md5).decode()
    once = {"Idempotency-Key": f'"life-{hand.life.number}"'}
    for _ in range(1 + how["again"]):
        reply = await hand.insist("announce", step, "POST", "/v1/uploads", json, headers=once)
        if reply is not None and reply.status == 201:
            hand.take(reply.json)


async def _mint(hand: Hand, step: Step) -> None:
    json: dict[str, Any] = {"destination": hand.life.destination, "owner": hand.who}
    if hand.life.destination == "pictures":
        path = {"type": "product", "id": step.how["record"], "field": step.how["field"]}
        json |= {"attach_to": path} if step.how["field"] == "gallery" else {}
    json["unsized"] = True
    world = hand.world
    try:
        reply = await world.ask(
            "office",
            "mint",
            "POST",
            "/v1/upload-sessions",
            json,
            token=world.keys["office"],
            web=step.how["web"],
        )
    except Unanswered:
        return
    if reply.status == 201:
        hand.token, hand.session = reply.json["token"], reply.json["id"]


async def end_session(hand: Hand, step: Step) -> None:
    """The back end revokes the browser's session."""
    if hand.session is None or hand.token is None:
        return
    world, path = hand.world, f"/v1/upload-sessions/{hand.session}"
    try:
        reply = await world.ask(
            *("office", "revoke", "DELETE", path), token=world.keys["office"], web=step.how["web"]
        )
    except Unanswered:
        return
    if reply.status == 204:
        world.ended.setdefault(hand.token, world.now())


async def _announce_to_uppy(hand: Hand, step: Step) -> None:
    how = step.how
    at = f"/uppy/to/{how['destination']}/s3"
    size = {"size": how["size"]} if how.get("is_sized", True) else {}
    if how["destination"] == "films":
        json = {"filename": how["filename"], "type": how["content_type"], "metadata": size}
        reply = await hand.insist("announce", step, "POST", f"{at}/multipart", json)
        if reply is not None and reply.status == 200:
            hand.id, hand.key = reply.json["uploadId"], reply.json["key"]
            hand.intend()
        return
    query = {"filename": how["filename"], "type": how["content_type"] or ""}
    query |= {f"metadata[{name}]": value for name, value in size.items()}
    if how["destination"] == "tables":
        query["metadata[checksum_md5]"] = b64encode(hand.body.md5).decode()
    accept = {"Accept": "application/json"}
    path = f"{at}/params?{urlencode(query)}"
    reply = await hand.insist("announce", step, "GET", path, headers=accept)
    if reply is not None and reply.status == 200:
        hand.upload, hand.key = reply.json, reply.json["fields"]["key"]
        sent = {**reply.json["fields"], **reply.json.get("headers", {})}
        hand.id = sent.get("x-amz-meta-claimcheck-id")
        if hand.id is not None:
            hand.intend()


async def send(hand: Hand, step: Step) -> None:
    """Send the bytes to the bucket, as the instructions say."""
    body = hand.body.slice(0, hand.body.length // 2) if step.how.get("short") else hand.body
    for _ in range(2 if step.how.get("twice") else 1):
        if hand.door == "uppy" and hand.life.destination == "films":
            await _send_to_uppy(hand, step)
        elif hand.upload is not None and hand.upload["method"] == "multipart":
            for part in hand.parts[: 1 if step.how.get("stops") else None]:
                begin = (part["part_number"] - 1) * hand.upload["part_size"]
                piece = hand.body.slice(begin, begin + part["size"])
                await _send(hand, step, "PUT", part["url"], part.get("headers", {}), piece)
        elif hand.upload is not None:
            up = hand.upload
            extra = up.get("headers", {})
            fields = up["fields"] if up["method"] == "POST" else None
            await _send(hand, step, up["method"], up["url"], extra, body, fields)


async def _send_to_uppy(hand: Hand, step: Step) -> None:
    if hand.id is None or hand.key is None:
        return
    hand.parts = []
    size = 6 * 1024 * 1024
    for number in range(1, max(1, -(-hand.body.length // size)) + 1):
        path = f"/uppy/to/films/s3/multipart/{hand.id}/{number}?key={quote(hand.key, safe='')}"
        reply = await hand.insist("sign", step, "GET", path)
        if reply is None or reply.status != 200 or (step.how.get("stops") and number > 1):
            return
        piece = hand.body.slice((number - 1) * size, number * size)
        if await _send(hand, step, "PUT", reply.json["url"], {}, piece):
            hand.parts.append({"PartNumber": number, "ETag": "any"})


async def _send(
    hand: Hand,
    step: Step,
    method: str,
    url: str,
    headers: dict[str, str],
    body: Body,
    fields: dict[str, str] | None = None,
) -> bool:
    """One body to the bucket, again while it has no answer; whether it took it."""
    for pause in (1.0, 4.0, None)[-step.how["tries"] :]:
        try:
            reply = await hand.world.send(hand, method, url, headers, body, fields)
        except Unanswered:
            reply = None
        if reply is not None and reply.status < 500:
            return bool(reply.status < 300 or reply.status == 412)
        if pause is not None:
            await asyncio.sleep(pause)
    return False


async def replay(hand: Hand, step: Step) -> None:
    """Whoever holds the instructions may send other bytes with them, as long as they work."""
    if hand.upload is None or hand.upload["method"] == "multipart":
        return
    other = body_of(hand.life, "text", hand.body.length)
    up, fields = hand.upload, None
    if up["method"] == "POST":
        fields = up["fields"]
    await _send(hand, step, up["method"], up["url"], up.get("headers", {}), other, fields)


async def parts(hand: Hand, step: Step) -> None:
    if hand.id is not None:
        await hand.insist("parts", step, "GET", f"/v1/uploads/{hand.id}/parts")


async def renew(hand: Hand, step: Step) -> None:
    if hand.id is None:
        return
    reply = await hand.insist("renew", step, "POST", f"/v1/uploads/{hand.id}/renew")
    if reply is not None and reply.status == 200 and reply.json.get("upload"):
        hand.take(reply.json)


async def confirm(hand: Hand, step: Step) -> None:
    json = None
    if hand.life.destination == "pictures" and step.how["field"] and hand.token is None:
        json = {"attach_to": {"type": "product", **_place(step)}}
    if hand.door == "uppy" and hand.life.destination == "films":
        if hand.id is not None and hand.key is not None and hand.parts:
            path = f"/uppy/to/films/s3/multipart/{hand.id}/complete?key={quote(hand.key, safe='')}"
            sent = {"parts": list(hand.parts)}
            await hand.insist("complete", step, "POST", path, sent, patience=400.0)
    elif hand.key is not None and (hand.id is None or step.how.get("by") == "url"):
        name = {"destination": hand.life.destination, "key": hand.key}
        reply = await hand.insist("confirm", step, "POST", "/v1/files", name | (json or {}))
        _keep_link(hand, reply)
    elif hand.id is not None:
        path = f"/v1/uploads/{hand.id}/confirm"
        _keep_link(hand, await hand.insist("confirm", step, "POST", path, json))


def _place(step: Step) -> dict[str, str]:
    return {"id": step.how["record"], "field": step.how["field"]}


def _keep_link(hand: Hand, reply: Any) -> None:
    if reply is not None and reply.status == 200 and reply.json.get("presigned_url"):
        hand.id = hand.id or reply.json["id"]
        hand.links.append((reply.json["id"], reply.json["presigned_url"]))


async def cancel(hand: Hand, step: Step) -> None:
    if hand.id is None:
        return
    if hand.door == "uppy":
        path = f"/uppy/to/films/s3/multipart/{hand.id}?key={quote(hand.key or '', safe='')}"
        await hand.insist("cancel by uppy", step, "DELETE", path)
    else:
        await hand.insist("cancel", step, "DELETE", f"/v1/uploads/{hand.id}")


# Files.


async def read(hand: Hand, step: Step) -> None:
    """Get the file, and read it by an old link and by a new one."""
    if hand.id is None:
        return
    if hand.token is None:
        reply = await hand.insist("get", step, "GET", f"/v1/files/{hand.id}")
        _keep_link(hand, reply)
    for file_id, link in hand.links[-2:]:
        await hand.world.read(hand, file_id, link)


async def presign(hand: Hand, step: Step) -> None:
    if hand.id is not None and hand.token is None:
        json = {"ids": [hand.id]}
        reply = await hand.insist("presign", step, "POST", "/v1/files/presign", json)
        if reply is not None and reply.status == 200:
            for item in reply.json["items"]:
                if "presigned_url" in item:
                    hand.links.append((item["id"], item["presigned_url"]))


async def list_files(hand: Hand, step: Step) -> None:
    if hand.token is None:
        await hand.insist("list", step, "GET", "/v1/files?limit=100")


def _file_step(what: str, method: str, path: str, json: Any = None) -> "Action":
    async def act(hand: Hand, step: Step) -> None:
        if hand.id is not None and hand.token is None:
            await hand.insist(what, step, method, path.format(id=hand.id), json)

    return act


async def put_in_record(hand: Hand, step: Step) -> None:
    if hand.id is None or hand.life.destination != "pictures":
        return
    path = f"/v1/records/product/{step.how['record']}/{step.how['field'] or 'picture'}"
    json: dict[str, Any] = {"file_id": hand.id}
    if step.how["field"] == "gallery":
        json = {"file_ids": [hand.id]}
    await _as_back_end(hand, step, "put", "PUT", path, json)


async def read_record(hand: Hand, step: Step) -> None:
    await _as_back_end(hand, step, "record", "GET", f"/v1/records/product/{step.how['record']}")


async def empty_record(hand: Hand, step: Step) -> None:
    path = f"/v1/records/product/{step.how['record']}/{step.how['field'] or 'picture'}"
    await _as_back_end(hand, step, "empty", "DELETE", path)


async def _as_back_end(
    hand: Hand, step: Step, what: str, method: str, path: str, json: Any = None
) -> Any:
    """As the owner's own back end, whatever the browser holds."""
    token, hand.token = hand.token, None
    try:
        return await hand.insist(what, step, method, path, json)
    finally:
        hand.token = token


async def restore(hand: Hand, step: Step) -> None:
    """Staff take it back, at the panel."""
    if hand.id is None:
        return
    whose = Principal(hand.who, hand.world.tenant, frozenset(Scope))
    work = partial(restore_file, caller=whose, file_id=UUID(hand.id))
    await hand.world.operate("restore", hand.id, step.how["web"], work)


async def feed(hand: Hand, step: Step) -> None:
    await hand.world.read_feed(step.how["web"])


async def pry(hand: Hand, step: Step) -> None:
    """A stranger, of another tenant, has learnt the ids, keys and URLs, and tries all doors."""
    if hand.id is None:
        return
    world, at = hand.world, hand.id
    name = {"destination": hand.life.destination, "key": hand.key or "k"}
    for who in ("eve", "bob" if hand.who == "ann" else "ann"):
        for method, path, json in (
            ("GET", f"/v1/files/{at}", None),
            ("GET", f"/v1/files/{at}/content", None),
            ("GET", f"/v1/uploads/{at}", None),
            ("POST", f"/v1/uploads/{at}/confirm", None),
            ("POST", "/v1/files", name),
            ("POST", f"/v1/uploads/{at}/renew", None),
            ("POST", f"/v1/uploads/{at}/parts", {"part_numbers": [1]}),
            ("DELETE", f"/v1/uploads/{at}", None),
            ("DELETE", f"/v1/files/{at}?object=delete", None),
            ("DELETE", f"/v1/files/{at}", None),
            ("PATCH", f"/v1/files/{at}", {"filename": "mine.png"}),
            ("POST", "/v1/files/presign", {"ids": [at]}),
            ("PUT", f"/v1/records/product/{who}/picture", {"file_id": at}),
        ):
            if not world.chance.of("pry", hand.life.number, who, method, path).happens(0.3):
                continue
            try:
                await world.ask(
                    who,
                    "pry",
                    method,
                    path,
                    json,
                    token=world.keys[who],
                    web=step.how["web"],
                    hand=hand,
                )
            except Unanswered:
                continue


Action = Callable[[Hand, Step], Awaitable[None]]
STEPS: Final[dict[str, Action]] = {
    "announce": announce,
    "send": send,
    "replay": replay,
    "parts": parts,
    "renew": renew,
    "confirm": confirm,
    "cancel": cancel,
    "read": read,
    "presign": presign,
    "list": list_files,
    "rename": _file_step("rename", "PATCH", "/v1/files/{id}", {"metadata": {"seen": True}}),
    "release": _file_step("release", "DELETE", "/v1/files/{id}"),
    "remove": _file_step("remove", "DELETE", "/v1/files/{id}?object=delete"),
    "restore": restore,
    "put_in_record": put_in_record,
    "read_record": read_record,
    "empty_record": empty_record,
    "feed": feed,
    "end_session": end_session,
    "pry": pry,
}


async def live(world: "World", life: Life) -> None:
    """A file's life: its steps in order, and those beside them."""
    first = life.steps[0].how
    hand = Hand(world, life, body_of(life, first["contents"], first["size"]))
    beside: list[asyncio.Task[None]] = []
    await asyncio.sleep(life.at)
    for number, step in enumerate(life.steps):
        if not world.plan.keeps(f"life {life.number} step {number}"):
            continue
        if step.beside:
            beside.append(asyncio.create_task(_later(hand, step)))
        else:
            await asyncio.sleep(step.after)
            await STEPS[step.what](hand, step)
    if beside:
        await asyncio.gather(*beside)


async def _later(hand: Hand, step: Step) -> None:
    await asyncio.sleep(step.after)
    await STEPS[step.what](hand, step)
