"""The HTTP dependencies that routers share: who asks, and with which resources he is served.

Each is a coroutine function of the request alone, so that routes may call it themselves
(`lean_route.py`); what else it needs is in the request or in its application's state.
"""

from typing import Annotated

from fastapi import Depends, Request

from app.core.principal import DEV, Principal
from app.resources import Resources


async def _resources(request: Request) -> Resources:
    res: Resources = request.app.state.resources
    return res


async def _dev(_: Request) -> Principal:
    return DEV


Res = Annotated[Resources, Depends(_resources)]
# An upload session's token may also stand in the path of Uppy's door, which takes it out to
# `request.state.path_token` (app.routers.middleware.Envelope). Nothing checks it yet.
# One principal until authentication lands; each route says already what it will ask for.
CanUpload = Annotated[Principal, Depends(_dev)]
CanRead = Annotated[Principal, Depends(_dev)]
CanDelete = Annotated[Principal, Depends(_dev)]
CanReadRecords = Annotated[Principal, Depends(_dev)]
CanWriteRecords = Annotated[Principal, Depends(_dev)]
CanAdmin = Annotated[Principal, Depends(_dev)]
