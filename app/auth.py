"""Who asks. Authentication is yet to come: until then there is one principal, on loopback only."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Principal:
    """The caller; files belong to its `owner`."""

    owner: str


DEV: Final = Principal(owner="dev")
