"""The use of an owner and of a tenant; their limits, for those who manage them."""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from app.core.principal import Name
from app.errors import DatabaseUnavailable, QuotasNotKept
from app.http.lean_route import LeanRoute
from app.http.permissions import CanManageQuotas, CanRead, Res
from app.http.problems import responses
from app.http.rendering import json_response, long_json_response
from app.models.usage import Level, Quota
from app.usage import quotas
from app.usage.quotas import Share

router = APIRouter(prefix="/v1", tags=["usage"], route_class=LeanRoute)

_PAGE: Final = 100
_LIMITS: Final[dict[str, Any]] = {"bytes": 10_000_000_000, "files": None, "pending": 100}
_SHARE: Final[dict[str, Any]] = {
    "counted": True,
    "files": 3,
    "bytes": 1_400_000,
    "pending": 1,
    "reserved": 250_000,
    "limits": _LIMITS,
}

Count = Annotated[int | None, Field(ge=0, le=2**53)]


class LimitsBody(BaseModel):
    """The most there may be; null: no limit."""

    bytes: int | None
    files: int | None
    pending: int | None


class ShareBody(BaseModel):
    """A use and its limits. Not `counted`: that is not known yet, and nothing is refused.

    `bytes` are of `files`; `reserved` is what the `pending` uploads may come to.
    """

    counted: bool
    files: int
    bytes: int
    pending: int
    reserved: int
    limits: LimitsBody


class UsageBody(BaseModel):
    """The use of an owner and of the tenant; null where it is not limited, or not yours to see."""

    model_config = ConfigDict(json_schema_extra={"example": {"owner": _SHARE, "tenant": None}})

    owner: ShareBody | None
    tenant: ShareBody | None


_QUOTA: Final[dict[str, Any]] = {"owner": "ann", "bytes": 20_000_000_000}


class QuotaWanted(BaseModel):
    """Limits of an owner, or without one of the tenant; what is left out is as the settings say."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": _QUOTA})

    owner: Name | None = None
    bytes: Count = None
    files: Count = None
    pending: Count = None


class QuotaBody(BaseModel):
    """Limits of an owner, or with a null one of the tenant; null: as the settings say."""

    model_config = ConfigDict(
        json_schema_extra={"example": _QUOTA | {"files": None, "pending": None}}
    )

    owner: str | None
    bytes: int | None
    files: int | None
    pending: int | None


class QuotaList(BaseModel):
    """Limits of their own, the tenant's first."""

    items: list[QuotaBody]


def _share_json(share: Share) -> dict[str, Any]:
    counts = share.usage._asdict()
    return {
        "counted": share.is_counted,
        **{name: counts[name] for name in ("files", "bytes", "pending", "reserved")},
        "limits": share.limits.model_dump(),
    }


def _quota_json(quota: Quota) -> dict[str, Any]:
    limits = {name: getattr(quota, name) for name in ("bytes", "files", "pending")}
    return {"owner": quota.owner or None} | limits


@router.get(
    "/usage",
    operation_id="getUsage",
    response_model=UsageBody,
    summary="What is used, and what may be",
    responses=responses(DatabaseUnavailable),
)
async def get_usage(
    caller: CanRead,
    res: Res,
    owner: Annotated[
        Name | None, Query(description="Another than oneself, for those who act for the tenant")
    ] = None,
) -> Response:
    """Exact at this moment. What is being removed counts until its object is gone."""
    shares = {share.level: share for share in await quotas.read_shares(res, caller, owner)}
    return json_response(
        {level.value: _share_json(shares[level]) if level in shares else None for level in Level}
    )


@router.get(
    "/quotas",
    operation_id="listQuotas",
    response_model=QuotaList,
    summary="List limits of their own that owners have",
    responses=responses(DatabaseUnavailable),
)
async def list_quotas(
    caller: CanManageQuotas,
    res: Res,
    after: Annotated[Name | None, Query(description="The last owner of the page before")] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = _PAGE,
) -> Response:
    """Of the tenant and its owners, by name."""
    found = await quotas.list_quotas(res, caller, after=after, limit=limit)
    return await long_json_response({"items": map(_quota_json, found)})


@router.put(
    "/quotas",
    operation_id="setQuota",
    response_model=QuotaBody,
    summary="Give an owner or the tenant limits of their own",
    responses=responses(QuotasNotKept, DatabaseUnavailable),
)
async def set_quota(body: QuotaWanted, caller: CanManageQuotas, res: Res) -> Response:
    """Instead of any before. What is above them already stays, and nothing more is taken."""
    return json_response(_quota_json(await quotas.set_quota(res, caller, **body.model_dump())))


@router.delete(
    "/quotas",
    operation_id="clearQuota",
    summary="Have the settings' limits hold again",
    status_code=204,
    responses=responses(DatabaseUnavailable),
)
async def clear_quota(
    caller: CanManageQuotas,
    res: Res,
    owner: Annotated[Name | None, Query(description="Left out: of the tenant")] = None,
) -> Response:
    """For an owner, or without one for the tenant."""
    await quotas.clear_quota(res, caller, owner)
    return Response(status_code=204)
