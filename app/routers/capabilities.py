"""The doctor's report for admins: abilities of the stores, and faults of the set-up."""

from datetime import datetime

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from app.doctor.findings import Level
from app.doctor.report_cache import ReportCache
from app.errors import ExaminationUnderWay
from app.http.lean_route import LeanRoute
from app.http.permissions import CanAdmin
from app.http.problems import responses
from app.http.rendering import json_response, members

router = APIRouter(tags=["service"], route_class=LeanRoute)


class FindingBody(BaseModel):
    """One thing that was looked at: what it means, and how to mend it."""

    check: str = Field(description="A stable name", examples=["cors"])
    subject: str = Field(description="`service`, a bucket or a destination", examples=["images"])
    level: Level
    meaning: str
    remedy: str = Field(description="Empty where nothing is to be mended")


class AbilitiesBody(BaseModel):
    """The abilities that a store showed when tried; null where that could not be found out."""

    forms: bool | None = Field(description="POST Object")
    forms_enforced: bool | None = Field(description="Forms that are not as signed are refused")
    puts: bool | None
    puts_enforced: bool | None = Field(description="PUTs that are not as signed are refused")
    multipart: bool | None
    versions: bool | None = Field(description="Every upload makes a version that links can pin")
    conditional_writes: bool | None = Field(description="`If-None-Match: *` keeps what is there")
    checksums: bool | None = Field(description="An announced SHA-256 is compared and told")
    signed_headers_only: bool | None = Field(description="x-amz-* that nobody signed are refused")
    signature_age: bool | None = Field(description="The bucket policy's limit is kept")
    content_md5: bool | None = Field(
        description="A signed Content-MD5 is held to the bytes; tried where there is `integrity`"
    )
    md5_etags: bool | None = Field(description="An ETag is the MD5 of the bytes, or of the parts'")


class AdviceBody(BaseModel):
    """A destination's store, and the settings that would suit it better."""

    store: str
    abilities: AbilitiesBody
    settings: dict[str, str] = Field(description="To set in the environment")


class Capabilities(BaseModel):
    """The doctor's report, and when it was made."""

    examined_at: datetime
    level: Level
    findings: list[FindingBody]
    destinations: dict[str, AdviceBody]


_members = members(Capabilities, but=("examined_at",))


@router.get(
    "/v1/capabilities",
    operation_id="getCapabilities",
    response_model=Capabilities,
    summary="What the stores can do, and what is wrong with them",
    responses=responses(ExaminationUnderWay),
)
async def capabilities(_: CanAdmin, request: Request) -> Response:
    """The report of `claimcheck doctor`, made by trying at most every ten minutes."""
    cache: ReportCache = request.app.state.report
    report, examined_at = await cache.get()
    body = {"examined_at": examined_at, **_members(report)}
    return json_response(Capabilities.model_validate(body, from_attributes=True))
