"""The header `Idempotency-Key`, for routes whose requests may be repeated."""

from typing import Annotated, Final

from fastapi import Header
from pydantic import AfterValidator, BaseModel, Field

from app.core.idempotency import MAX_KEY, RequestKey, read_key, request_key
from app.core.principal import Principal
from app.errors import AlreadyMade, IdempotencyKeyReused, RequestUnderWay

# A parameter of the route, None by default. The value is the key itself.
IdempotencyKey = Annotated[
    Annotated[str, Field(max_length=MAX_KEY), AfterValidator(read_key)] | None,
    Header(
        alias="Idempotency-Key",
        description="A string of the client's own for this request, such as a UUID in quotation "
        "marks, sent again with each repeat of it: what the first has made is not made twice. "
        "Known for 24 hours (draft-ietf-httpapi-idempotency-key-header)",
        examples=['"8e03978e-40d5-43dd-bc93-6894a57f9324"'],
    ),
]
IDEMPOTENCY_PROBLEMS: Final = (AlreadyMade, IdempotencyKeyReused, RequestUnderWay)


def once(caller: Principal, key: str | None, body: BaseModel) -> RequestKey | None:
    """The request as its repeats are known by, for the use case; None where it has no key.

    Each route has a model of its own for its body, whose name tells the routes apart.
    """
    if key is None:
        return None
    return request_key(caller.identity, key, type(body).__name__, vars(body))
