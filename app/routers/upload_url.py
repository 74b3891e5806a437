"""An upload form for a key of the client's own choice: the door for front ends that choose keys."""

from typing import Annotated

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, StringConstraints

from app import errors
from app.http.lean_route import LeanRoute
from app.http.permissions import CanUpload, Res
from app.http.problems import responses
from app.http.rendering import json_response
from app.store.signer import PresignedPost
from app.uploads.announce import announce_key

router = APIRouter(prefix="/v1", tags=["uploads"], route_class=LeanRoute)


class ObjectKeyBody(BaseModel):
    """A key that the client chose."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"example": {"object_key": "images/holiday.png"}}
    )

    object_key: Annotated[str, StringConstraints(min_length=1, max_length=4096)]


class PostForm(BaseModel):
    """A presigned POST."""

    url: str
    fields: dict[str, str]


class UploadUrlBody(BaseModel):
    """The upload form for a chosen key."""

    object_key: str
    upload_url_dict: PostForm


@router.post(
    "/upload-url",
    operation_id="signUploadUrl",
    response_model=UploadUrlBody,
    summary="Get an upload form for a key of your own choice",
    responses=responses(
        errors.ClientKeysNotAllowed,
        errors.UploadSessionExhausted,
        errors.QuotaExceeded,
        errors.InvalidObjectKey,
        errors.ContentTypeNotAllowed,
        errors.ExtensionNotAllowed,
        errors.KeyTaken,
        errors.SigningUnavailable,
        errors.BucketRefused,
        errors.BucketUnavailable,
        errors.DatabaseUnavailable,
    ),
)
async def upload_url(body: ObjectKeyBody, caller: CanUpload, res: Res) -> Response:
    """For destinations with `allow_client_keys`; the content type comes from the extension.

    When the bytes are there, give the object's URL to `POST /v1/files`.
    """
    announced = await announce_key(res, caller, body.object_key)
    assert isinstance(announced.instructions, PresignedPost)
    form = {"url": announced.instructions.url, "fields": announced.instructions.fields}
    return json_response({"object_key": announced.file.key, "upload_url_dict": form})
