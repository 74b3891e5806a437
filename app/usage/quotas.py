"""The use of an owner or a tenant, its limits, and limits of their own."""

from typing import Final, NamedTuple

from app.core.principal import Principal, Scope
from app.db import usage as db_usage
from app.errors import InsufficientScope, QuotasNotKept
from app.logs.audit import audit
from app.models.usage import Level, Quota, Usage
from app.runtime.resources import Resources
from app.settings.quotas import Limits

_TENANT: Final = ""


class Share(NamedTuple):
    """The use of a key, and its limits. Not `is_counted`: its use is not known yet, and nothing is
    refused.
    """

    level: Level
    usage: Usage
    limits: Limits
    is_counted: bool


async def read_shares(res: Resources, caller: Principal, owner: str | None = None) -> list[Share]:
    """The use of the owner, the caller if None, and of the tenant where the caller acts for it; of
    levels at which nothing is limited there is none.

    Raises InsufficientScope where another's is asked for by whoever does not act for the tenant.
    """
    acts_for_tenant = caller.sees_tenant or Scope.QUOTAS_MANAGE in caller.scopes
    if owner not in {None, caller.owner} and not acts_for_tenant:
        raise InsufficientScope(
            f"What others use takes {Scope.FILES_ALL} or {Scope.QUOTAS_MANAGE}.",
            scope=Scope.FILES_ALL.value,
        )
    names = {Level.OWNER: owner or caller.owner}
    if acts_for_tenant:
        names[Level.TENANT] = _TENANT
    wanted = {level: (caller.tenant, name) for level, name in names.items() if _limits(res, level)}
    if not wanted:
        return []
    async with res.db.connection() as db:
        levels = await db_usage.read_levels(db)
        found = await db_usage.read_usage(db, list(wanted.values()))
    return [
        Share(
            level,
            found[key].usage,
            _in_force(found[key].quota, _limits(res, level)),
            levels.get(level, False),
        )
        for level, key in wanted.items()
    ]


def _limits(res: Resources, level: Level) -> Limits:
    limits: Limits = getattr(res.settings.quota, level)
    return limits


def _in_force(own: Quota, limits: Limits) -> Limits:
    return Limits.model_construct(
        **{
            name: getattr(limits, name) if value is None else value
            for name, value in own._asdict().items()
            if name in Limits.model_fields
        }
    )


async def set_quota(
    res: Resources,
    caller: Principal,
    owner: str | None,
    *,
    bytes: int | None,  # noqa: A002 - the name of the setting, in the API and the table too
    files: int | None,
    pending: int | None,
) -> Quota:
    """Give an owner of the caller's tenant limits of their own, or the tenant if None; where one is
    None that of the settings holds. What is above them already stays.

    Raises QuotasNotKept.
    """
    _require_kept(res, owner)
    quota = Quota(caller.tenant, owner or _TENANT, bytes=bytes, files=files, pending=pending)
    async with res.db.connection() as db:
        await db_usage.set_quota(db, quota)
    audit("quota.set", quota_owner=owner, bytes=bytes, files=files, pending=pending)
    return quota


async def clear_quota(res: Resources, caller: Principal, owner: str | None) -> None:
    """Have the settings' limits hold for an owner, or the tenant if None; so they may already."""
    async with res.db.connection() as db:
        was_there = await db_usage.delete_quota(db, caller.tenant, owner or _TENANT)
    if was_there:
        audit("quota.cleared", quota_owner=owner)


async def list_quotas(
    res: Resources, caller: Principal, *, after: str | None, limit: int
) -> list[Quota]:
    """Limits of their own that the tenant (owner "") and its owners have, in order."""
    async with res.db.connection() as db:
        return await db_usage.list_quotas(db, caller.tenant, after, limit)


def _require_kept(res: Resources, owner: str | None) -> None:
    level = Level.TENANT if owner is None else Level.OWNER
    if not _limits(res, level):
        name = f"CLAIMCHECK_QUOTA__{level.upper()}"
        raise QuotasNotKept(
            f"Nothing is counted of {'tenants' if owner is None else 'owners'}, so no limit would "
            f"hold: set {name}__BYTES, {name}__FILES or {name}__PENDING, as large as you like."
        )
