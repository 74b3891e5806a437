"""The tables that find confirmed files by their metadata and by parts of their names.

Files lie in blocks of neighbours by id. One index says which blocks can have what is looked for;
what has changed since is in `search_changes`, which triggers keep (they are in the migration).
"""

from typing import Annotated, Final, NamedTuple
from uuid import UUID

import sqlalchemy as sa

from app.models.tables import KEY, table


class SearchChange(NamedTuple):
    """A confirmed file that is new or changed since the blocks were written.

    Without a `filename` it is no confirmed file any more.
    """

    tenant: Annotated[str, KEY]
    file_id: Annotated[UUID, KEY]
    owner: str
    destination: str
    content_type: str
    filename: str | None
    metadata: str | None


class SearchBlock(NamedTuple):
    """A tenant's files with ids from `first` on and before the next block's, as they were written.

    `files` as `app.core.search_text.join` writes them, `terms` those of all of them.
    """

    tenant: Annotated[str, KEY]
    first: Annotated[UUID, KEY]
    files: str
    terms: list[int]


search_changes: Final = table("search_changes", SearchChange)
search_blocks: Final = table("search_blocks", SearchBlock)
sa.Index(
    "ix_search_blocks_terms",
    search_blocks.c.terms,
    postgresql_using="gin",
    postgresql_with={"fastupdate": "off"},
)
