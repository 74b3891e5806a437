"""Steps of an upload, as clients take them: announce, send, confirm, cancel, through each door."""

import asyncio
from base64 import b64encode
from typing import Any
from urllib.parse import quote, urlencode

from tests.simulation.hand import Hand, Unanswered, body_of
from tests.simulation.plan import Step
from tests.simulation.store.body import Body


async def announce(hand: Hand, step: Step) -> None:
    how = step.how
    hand.announcement, hand.door = how, how["door"]
    if how.get("minted"):
        await _mint(hand, step)
    if hand.door == "uppy":
        await _announce_to_uppy(hand, step)
        return
    if hand.door == "chosen":
        await _choose_key(hand, step)
        return
    json = {name: how[name] for name in ("destination", "filename", "content_type", "size")}
    if how["destination"] == "tables":
        json["checksum_md5"] = b64encode(hand.body.md5).decode()
    if how.get("hashed"):
        json["checksum_sha256"] = b64encode(hand.body.sha256).decode()
    once = {"Idempotency-Key": f'"life-{hand.life.number}"'}
    for _ in range(1 + how["again"]):
        if how.get("batch"):
            await _announce_several(hand, step, json, once)
            continue
        reply = await hand.insist("announce", step, "POST", "/v1/uploads", json, headers=once)
        if reply is not None and reply.status in {200, 201}:
            _made_once(hand, reply.json["id"], is_made=reply.status == 201)
            hand.take(reply.json)


def _made_once(hand: Hand, made: str, *, is_made: bool) -> None:
    """A repeated request with its idempotency key makes no second upload."""
    if hand.made not in (None, made):
        names = hand.world.call(hand.made), hand.world.call(made)
        hand.world.blame([f"one idempotency key has made {names[0]} and {names[1]}"])
    hand.made = made if is_made else hand.made


async def _announce_several(
    hand: Hand, step: Step, json: dict[str, Any], once: dict[str, str]
) -> None:
    """Together with others, which are never sent."""
    several = {"uploads": [json, json | {"filename": "never sent.txt"}, json]}
    reply = await hand.insist("batch", step, "POST", "/v1/uploads/batch", several, headers=once)
    if reply is not None and reply.status == 200 and "id" in reply.json["uploads"][0]:
        hand.take(reply.json["uploads"][0])


async def _choose_key(hand: Hand, step: Step) -> None:
    """A front end that chooses keys, as others may: the form says no size."""
    json = {"object_key": f"{hand.life.destination}/{step.how['record']}.png"}
    reply = await hand.insist("choose", step, "POST", "/v1/upload-url", json)
    if reply is not None and reply.status == 200:
        form = reply.json["upload_url_dict"]
        hand.upload, hand.key = form | {"method": "POST"}, reply.json["object_key"]
        hand.id = form["fields"].get("x-amz-meta-claimcheck-id")
        if hand.id is not None:
            hand.intend()


async def _mint(hand: Hand, step: Step) -> None:
    if step.how["minted"] == "request":
        await _open_request(hand, step)
        return
    json: dict[str, Any] = {"destination": hand.life.destination, "owner": hand.who}
    if hand.life.destination == "pictures":
        path = {"type": "product", "id": step.how["record"], "field": step.how["field"]}
        json |= {"attach_to": path} if step.how["field"] == "gallery" else {}
    json |= {"unsized": True, "max_files": 1 + step.how["tries"] % 3}
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


async def _open_request(hand: Hand, step: Step) -> None:
    """The office asks somebody without an account for files, who opens the link."""
    world, web, at = hand.world, step.how["web"], "/v1/requests"
    json = {
        "note": "Send them.",
        "destination": hand.life.destination,
        "owner": hand.who,
        "max_files": 1 + step.how["tries"] % 3,
    }
    try:
        made = await world.ask(
            "office", "request", "POST", at, json, token=world.keys["office"], web=web
        )
        link = made.json["link"].partition("#")[2] if made.status == 201 else ""
        opened = await world.ask(hand.who, "open", "POST", f"{at}/open", token=link, web=web)
    except Unanswered:
        return
    if opened.status == 201:
        hand.token, hand.session = opened.json["token"], made.json["id"]
        hand.sessions = at


async def end_session(hand: Hand, step: Step) -> None:
    """The back end revokes the browser's session, or closes the request that it is of."""
    if hand.session is None or hand.token is None:
        return
    world, path = hand.world, f"{hand.sessions}/{hand.session}"
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
            if hand.upload.get("integrity"):
                await _sign_by_digests(hand, step)
            for part in hand.parts[: 1 if step.how.get("stops") else None]:
                begin = (part["part_number"] - 1) * hand.upload["part_size"]
                piece = hand.body.slice(begin, begin + part["size"])
                await _send(hand, step, "PUT", part["url"], part.get("headers", {}), piece)
        elif hand.upload is not None:
            up = hand.upload
            extra = up.get("headers", {})
            fields = up["fields"] if up["method"] == "POST" else None
            await _send(hand, step, up["method"], up["url"], extra, body, fields)


async def _sign_by_digests(hand: Hand, step: Step) -> None:
    """Get the URLs of all parts, each for its MD5."""
    assert hand.upload is not None
    size, count = hand.upload["part_size"], hand.upload["part_count"]
    pieces = [hand.body.slice(n * size, (n + 1) * size) for n in range(count)]
    json = {
        "part_numbers": list(range(1, count + 1)),
        "checksums_md5": [b64encode(piece.md5).decode() for piece in pieces],
    }
    reply = await hand.insist("sign", step, "POST", f"/v1/uploads/{hand.id}/parts", json)
    if reply is not None and reply.status == 200:
        hand.parts = reply.json["parts"]


async def _send_to_uppy(hand: Hand, step: Step) -> None:
    if hand.id is None or hand.key is None:
        return
    hand.parts = []
    # As Uppy cuts; a page may have it cut otherwise where no size was said.
    size = (5 if hand.announcement.get("is_sized", True) else 6) * 1024 * 1024
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
    """Whoever holds the instructions may send other bytes with them, as long as they work; a page
    that shows the file goes on showing what was confirmed.
    """
    if hand.upload is None or hand.upload["method"] == "multipart":
        return
    other = body_of(hand.life, "text", hand.body.length)
    up, fields = hand.upload, None
    if up["method"] == "POST":
        fields = up["fields"]
    await _send(hand, step, up["method"], up["url"], up.get("headers", {}), other, fields)
    for file_id, link in hand.links[-1:]:
        await hand.world.read(hand, file_id, link)


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
        json = {"attach_to": {"type": "product", **place(step)}}
    if hand.door == "uppy" and hand.life.destination == "films":
        if hand.id is not None and hand.key is not None and hand.parts:
            path = f"/uppy/to/films/s3/multipart/{hand.id}/complete?key={quote(hand.key, safe='')}"
            sent = {"parts": list(hand.parts)}
            await hand.insist("complete", step, "POST", path, sent, patience=400.0)
    elif hand.key is not None and (hand.id is None or step.how.get("by") == "url"):
        name = {"destination": hand.life.destination, "key": hand.key}
        reply = await hand.insist("confirm", step, "POST", "/v1/files", name | (json or {}))
        keep_link(hand, reply)
    elif hand.id is not None:
        path = f"/v1/uploads/{hand.id}/confirm"
        keep_link(hand, await hand.insist("confirm", step, "POST", path, json))


def place(step: Step) -> dict[str, str]:
    return {"id": step.how["record"], "field": step.how["field"]}


def keep_link(hand: Hand, reply: Any) -> None:
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
