"""Instructions work until they end, also after confirm and removal: what that can change."""

from tests.contract.flow import Flow, problem, refused
from tests.contract.stores import Feature, having, lacking, sending

FIRST, SECOND = b"first", b"other"


# --- The same instructions twice


@having(Feature.CONDITIONAL_WRITES)
async def test_a_second_put_is_refused(flow: Flow) -> None:
    upload = await flow.announce("put", FIRST)
    assert (await flow.send(upload["upload"], FIRST)).status_code == 200
    refused(await flow.send(upload["upload"], SECOND), 412, "PreconditionFailed")
    file = (await flow.confirm(upload)).json()
    assert await flow.read(file["presigned_url"]) == FIRST


@lacking(Feature.CONDITIONAL_WRITES)
async def test_a_second_put_is_what_gets_confirmed(flow: Flow) -> None:
    upload = await flow.announce("put", FIRST)
    for data in (FIRST, SECOND):
        assert (await flow.send(upload["upload"], data)).status_code == 200
    file = (await flow.confirm(upload)).json()
    assert await flow.read(file["presigned_url"]) == SECOND


@having(Feature.FORMS)
async def test_a_form_works_until_confirm_and_the_last_one_counts(flow: Flow) -> None:
    upload = await flow.announce("post", FIRST)
    for data in (FIRST, SECOND):
        assert (await flow.send(upload["upload"], data)).status_code == 201
    file = (await flow.confirm(upload)).json()
    assert await flow.read(file["presigned_url"]) == SECOND


# --- After confirm


@sending(Feature.VERSIONS)
async def test_confirmed_bytes_stay_what_they_were(flow: Flow, method: str) -> None:
    upload = await flow.announce(method, FIRST)
    assert (await flow.send(upload["upload"], FIRST)).is_success
    file = (await flow.confirm(upload)).json()
    replayed = await flow.send(upload["upload"], SECOND)
    refusing = method == "put" and flow.kind.has(Feature.CONDITIONAL_WRITES)
    assert replayed.status_code == (412 if refusing else 201 if method == "post" else 200)
    assert len(flow.store.versions(file["key"])) == (1 if refusing else 2)
    again = (await flow.confirm(upload)).json()
    assert (again["version_id"], again["etag"]) == (file["version_id"], file["etag"])
    for url in (file["presigned_url"], again["presigned_url"], await flow.link(file)):
        assert await flow.read(url) == FIRST


@having(Feature.VERSIONS)
async def test_an_object_hidden_behind_our_back_is_still_read(flow: Flow) -> None:
    file = await flow.file("put", FIRST)
    where = {"Bucket": flow.store.bucket, "Key": file["key"]}
    flow.store.owner.delete_object(**where)
    flow.store.owner.put_object(**where, Body=SECOND)
    assert await flow.read(await flow.link(file)) == FIRST


@sending(without=Feature.VERSIONS)
async def test_without_versions_the_condition_alone_protects(flow: Flow, method: str) -> None:
    upload = await flow.announce(method, FIRST)
    assert (await flow.send(upload["upload"], FIRST)).is_success
    file = (await flow.confirm(upload)).json()
    protected = method == "put" and flow.kind.has(Feature.CONDITIONAL_WRITES)
    replayed = await flow.send(upload["upload"], SECOND)
    assert replayed.is_success is not protected
    again = (await flow.confirm(upload)).json()
    # The row says what was confirmed; the bytes may have become others.
    assert again["etag"] == file["etag"]
    expected = FIRST if protected else SECOND
    for url in (file["presigned_url"], await flow.link(file)):
        assert await flow.read(url) == expected


# --- Removal


async def remove(flow: Flow, file: dict[str, str]) -> None:
    response = await flow.api.delete(f"/v1/files/{file['id']}", params={"object": "delete"})
    assert response.status_code == 204, response.text
    problem(await flow.api.get(f"/v1/files/{file['id']}"), 404, "file-not-found")


@sending()
async def test_a_removed_file_is_gone(flow: Flow, method: str) -> None:
    file = await flow.file(method)
    await remove(flow, file)
    assert not flow.store.holds(file["key"])
    # S3 names the version that is missing, RGW and stores without versions the key.
    refused(await flow.web.get(file["presigned_url"]), 404)
    await remove(flow, file)


@having(Feature.VERSIONS)
async def test_removal_leaves_no_version_behind(flow: Flow) -> None:
    upload = await flow.announce("put")
    where = {"Bucket": flow.store.bucket, "Key": upload["key"]}
    neighbour = {**where, "Key": f"{upload['key']}.neighbour"}
    flow.store.owner.put_object(**neighbour, Body=b"stays")
    flow.store.owner.put_object(**where, Body=b"before")
    flow.store.owner.delete_object(**where)
    assert (await flow.send(upload["upload"])).status_code == 200
    file = (await flow.confirm(upload)).json()
    flow.store.owner.delete_object(**where)
    flow.store.owner.put_object(**where, Body=b"after")
    assert len(flow.store.versions(file["key"])) == 5
    await remove(flow, file)
    assert flow.store.versions(file["key"]) == []
    assert len(flow.store.versions(neighbour["Key"])) == 1


@sending(Feature.VERSIONS)
async def test_a_link_of_a_removed_file_stays_dead(flow: Flow, method: str) -> None:
    upload = await flow.announce(method, FIRST)
    assert (await flow.send(upload["upload"], FIRST)).is_success
    file = (await flow.confirm(upload)).json()
    await remove(flow, file)
    # Nothing is there any more that If-None-Match could keep.
    assert (await flow.send(upload["upload"], FIRST)).is_success
    assert len(flow.store.versions(file["key"])) == 1
    refused(await flow.web.get(file["presigned_url"]), 404)
    problem(await flow.confirm(upload), 404, "upload-not-found")
    problem(await flow.api.get(f"/v1/files/{file['id']}"), 404, "file-not-found")


@lacking(Feature.VERSIONS)
async def test_without_versions_a_replay_revives_the_link_until_it_ends(flow: Flow) -> None:
    upload = await flow.announce("put", FIRST)
    assert (await flow.send(upload["upload"], FIRST)).is_success
    file = (await flow.confirm(upload)).json()
    await remove(flow, file)
    assert (await flow.send(upload["upload"], SECOND)).is_success
    assert await flow.read(file["presigned_url"]) == SECOND
    # ... but it is no file any more, and no new link is to be had.
    problem(await flow.confirm(upload), 404, "upload-not-found")
    problem(await flow.api.get(f"/v1/files/{file['id']}"), 404, "file-not-found")


@sending()
async def test_release_leaves_the_object(flow: Flow, method: str) -> None:
    file = await flow.file(method)
    for _ in range(2):
        released = await flow.api.delete(f"/v1/files/{file['id']}")
        assert released.status_code == 204
    problem(await flow.api.get(f"/v1/files/{file['id']}"), 404, "file-not-found")
    assert flow.store.holds(file["key"])
    assert await flow.read(file["presigned_url"]) == b"hello"


@sending()
async def test_cancelling_deletes_what_arrived(flow: Flow, method: str) -> None:
    upload = await flow.announce(method)
    assert (await flow.send(upload["upload"])).is_success
    assert flow.store.holds(upload["key"])
    for _ in range(2):
        cancelled = await flow.api.delete(f"/v1/uploads/{upload['id']}")
        assert cancelled.status_code == 204, cancelled.text
    assert not flow.store.holds(upload["key"])
    # What comes later is never a file.
    assert (await flow.send(upload["upload"])).is_success
    problem(await flow.confirm(upload), 404, "upload-not-found")
