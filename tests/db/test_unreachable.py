import socket

import asyncpg
import pytest
from sqlalchemy import URL, make_url

from app.db.unreachable import no_connection


async def _refusal(url: URL) -> str:
    with pytest.raises((OSError, asyncpg.PostgresError)) as caught:
        await asyncpg.connect(url.render_as_string(hide_password=False), timeout=60)
    said = no_connection(caught.value)
    assert "\n" not in said
    return said


async def test_each_refusal_of_a_server_has_its_own_advice(postgres_url: str) -> None:
    url = make_url(postgres_url)
    unknown = await _refusal(url.set(database="nowhere"))
    assert unknown.startswith("The server has no database of this name.")
    assert unknown.endswith('The cause: database "nowhere" does not exist')
    wrong = await _refusal(url.set(username="nobody", password="hunter2"))
    assert wrong.startswith("The database did not let us in. Compare the user and the password")
    assert "hunter2" not in wrong


async def test_what_is_not_reached_did_not_refuse_anybody(postgres_url: str) -> None:
    url = make_url(postgres_url)
    with socket.socket() as bound:  # and does not listen
        bound.bind(("127.0.0.1", 0))
        refused = await _refusal(url.set(host="127.0.0.1", port=bound.getsockname()[1]))
    assert refused.startswith("No database listens there. Start it,")
    unknown = await _refusal(url.set(host="nowhere.invalid"))  # RFC 6761
    assert unknown.startswith("The host of the database is not known here.")


@pytest.mark.parametrize(
    ("error", "begins"),
    [
        (TimeoutError(), "The database did not answer in time."),
        (
            asyncpg.TooManyConnectionsError("too many"),
            "The database takes no connection at",
        ),
        (asyncpg.ProtocolViolationError("of a pooler"), "There is no connection to the database."),
        (ConnectionError("rejected SSL upgrade"), "There is no connection to the database."),
    ],
)
def test_other_causes(error: Exception, begins: str) -> None:
    said = no_connection(error)
    assert said.startswith(begins)
    assert said.endswith(f"The cause: {error}" if str(error) else "in between.")
