"""Announces, sends, confirms and lists with a client that openapi-python-client made."""

import os

import httpx
from claimcheck_client import AuthenticatedClient
from claimcheck_client.api.files import list_files
from claimcheck_client.api.uploads import announce_upload, confirm_upload
from claimcheck_client.models import (
    AnnouncedBody,
    AnnouncementBody,
    FileBody,
    FilePage,
    PostInstructions,
)

DATA = b"hello\n"
client = AuthenticatedClient(base_url=os.environ["API"], token=os.environ["TOKEN"])

file = AnnouncementBody(destination="files", filename="python.txt", size=len(DATA))
announced = announce_upload.sync(client=client, body=file)
assert isinstance(announced, AnnouncedBody), announced
form = announced.upload
assert isinstance(form, PostInstructions), form
fields = form.fields.additional_properties
httpx.post(form.url, data=fields, files={"file": DATA}).raise_for_status()

confirmed = confirm_upload.sync(announced.id, client=client)
assert isinstance(confirmed, FileBody), confirmed
print(confirmed.id, confirmed.state, confirmed.size)

listed = list_files.sync(client=client, limit=10)
assert isinstance(listed, FilePage), listed
for one in listed.items:
    print(one.filename)
