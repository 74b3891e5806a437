"""Limits of what owners and tenants may have."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Limit = Annotated[int | None, Field(ge=1, le=2**53)]


class Limits(BaseModel):
    """The most that one owner, or one tenant, may have. None: no limit.

    `bytes` and `files` are of files and pending uploads together, `pending` of the uploads alone.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    bytes: Limit = None
    files: Limit = None
    pending: Limit = None

    def __bool__(self) -> bool:
        return any(limit is not None for limit in (self.bytes, self.files, self.pending))


class QuotaSettings(BaseModel):
    """The limits of each level. A level without any is not counted."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    owner: Limits = Limits()
    tenant: Limits = Limits()

    def __bool__(self) -> bool:
        return bool(self.owner or self.tenant)
