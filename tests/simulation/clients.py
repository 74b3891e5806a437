"""Clients: what browsers, back ends and strangers do, step by step (`STEPS`).

A step does what its client would do, judges nothing, and ends whatever happens: what comes of it is
judged by `answers` and the model.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from tests.simulation.hand import Hand, Unanswered, body_of
from tests.simulation.plan import Life, Step
from tests.simulation.scans import is_marked
from tests.simulation.staff import (
    adopt_object,
    compare_sums,
    put_there,
    reconcile_bucket,
    restore,
    save_record,
)
from tests.simulation.uploading import (
    announce,
    cancel,
    confirm,
    end_session,
    keep_link,
    parts,
    renew,
    replay,
    send,
)
from tests.simulation.webhook_receiver import BOTH_VALID

if TYPE_CHECKING:
    from tests.simulation.world import World


async def read(hand: Hand, step: Step) -> None:
    """Get the file, and read it by an old link and by a new one."""
    if hand.id is None:
        return
    if hand.token is None:
        reply = await hand.insist("get", step, "GET", f"/v1/files/{hand.id}")
        keep_link(hand, reply)
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


async def feed(hand: Hand, step: Step) -> None:
    await hand.world.read_feed(step.how["web"])


async def rotate_secret(hand: Hand, step: Step) -> None:
    """The office gives its webhook a new secret, once."""
    world, secrets = hand.world, hand.world.secrets
    if secrets is None or secrets.asked_at is not None:
        return
    secrets.asked_at = world.now()
    json = {"both_valid_hours": BOTH_VALID // timedelta(hours=1)}
    ask = "office", "rotate", "POST", f"{world.hook}/rotate-secret", json
    try:
        reply = await world.ask(*ask, token=world.keys["office"], web=step.how["web"])
    except Unanswered:
        return
    if reply.status == 200:
        secrets.second, secrets.told_at = reply.json["secret"], world.now()


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
    "save_record": save_record,
    "feed": feed,
    "end_session": end_session,
    "pry": pry,
    "rotate": rotate_secret,
    "adopt": adopt_object,
    "reconcile": reconcile_bucket,
    "compare": compare_sums,
}


async def live(world: "World", life: Life) -> None:
    """A file's life: its steps in order, and those beside them."""
    first = life.steps[0]
    hand = Hand(world, life, body_of(life, first.how["contents"], first.how["size"]))
    # Some send but a half of it.
    for body in (hand.body, hand.body.slice(0, hand.body.length // 2)):
        if is_marked(body):
            world.model.marked.add(body.digest)
    if first.what == "adopt":
        put_there(hand, first.how)
    beside: list[asyncio.Task[None]] = []
    await asyncio.sleep(life.at)
    for number, step in enumerate(life.steps):
        if not world.plan.keeps(f"life {life.number} step {number}"):
            continue
        if step.beside:
            beside.append(asyncio.create_task(_take(hand, step)))
        else:
            await _take(hand, step)
    if beside:
        await asyncio.gather(*beside)


async def _take(hand: Hand, step: Step) -> None:
    await asyncio.sleep(step.after)
    await STEPS[step.what](hand, step)
