"""The rules of each answer that a client gets: it is true of some moment of its request.

A rule yields what is wrong with one answer. To add one, write a function and add it to ANSWERS.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, urlsplit

from app import errors
from tests.simulation.hand import Hand, problem_of
from tests.simulation.model import moment
from tests.simulation.scans import quarantine_is_kept

if TYPE_CHECKING:
    from tests.simulation.model import Model

# Seconds: the service answers within 25, and the line may be slow.
ANSWER_SECONDS: Final = 27.0
STALENESS: Final = timedelta(seconds=5)
# These wait for as long as the bucket works, and say so meanwhile.
_UNLIMITED: Final = frozenset({"complete"})
_STATUSES: Final = frozenset(
    {200, 201, 202, 204, 302, 400, 401, 403, 404, 409, 410, 412, 422, 429, 502, 503}
)
# The catalogue: statuses by type.
_PROBLEMS: Final = {
    problem.type_uri(): problem.status
    for problem in vars(errors).values()
    if isinstance(problem, type)
    and issubclass(problem, errors.Problem)
    and problem.__doc__
    and problem is not errors.Problem
}


@dataclass
class Answer:
    """An answer, and when its request began and ended at the service."""

    who: str
    what: str
    began: datetime
    ended: datetime
    status: int
    json: Any
    hand: Hand | None
    file_id: str | None
    # When the token that it was asked with was answered to have ended.
    token_ended: datetime | None = None

    @property
    def shown(self) -> list[dict[str, Any]]:
        """The answer, and what it has of several files, one after the other."""
        said = self.json if isinstance(self.json, dict) else {}
        listed = [*said.get("items", []), *said.get("uploads", [])]
        return [said, *(item for item in listed if isinstance(item, dict))]

    @property
    def problem(self) -> str | None:
        return problem_of(self)


Rule = Callable[["Model", Answer], Iterator[str]]


def in_time(_: "Model", a: Answer) -> Iterator[str]:
    seconds = (a.ended - a.began).total_seconds()
    if a.what not in _UNLIMITED and seconds > ANSWER_SECONDS:
        yield f"it took {seconds:.0f} s"


def expected(_: "Model", a: Answer) -> Iterator[str]:
    if a.status not in _STATUSES or a.problem == "internal-error":
        yield f"status {a.status}, {a.json}"


def problems_are_known(_: "Model", a: Answer) -> Iterator[str]:
    """A refusal is one of the catalogue, has its status, and names the request."""
    problems = [item["problem"] for item in a.shown if "problem" in item]
    for said in [*problems, *(a.shown[:1] if a.status >= 400 else [])]:
        if _PROBLEMS.get(said.get("type", "")) != said.get("status") or not said.get("request_id"):
            yield f"no such problem: {said}"


def links_end_in_time(m: "Model", a: Answer) -> Iterator[str]:
    """No link that is given out works for longer than its destination allows, or than is said."""
    for item in a.shown:
        row, link = m.files.get(item.get("id", "")), item.get("presigned_url")
        if row is None or not link:
            continue
        query = dict(parse_qsl(urlsplit(link).query))
        signed = datetime.strptime(query["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        ends = signed + timedelta(seconds=int(query["X-Amz-Expires"]))
        if ends > a.ended + timedelta(seconds=m.lifetimes[row["destination"]]) + m.skew:
            yield f"the link to {m.name(row)} works until {ends}"
        if ends != moment(item["presigned_url_expires_at"]):
            yield f"the link to {m.name(row)} works until {ends}, and is not said to"


def strangers_see_nothing(m: "Model", a: Answer) -> Iterator[str]:
    if a.what != "pry" or a.hand is None:
        return
    said = str(a.json)
    secrets = [a.hand.key, a.hand.url, a.hand.announcement.get("filename")]
    if any(secret and secret in said for secret in secrets):
        yield f"a stranger is told of it: {said}"
    items = a.json.get("items") if isinstance(a.json, dict) else None
    is_refused = items and all("problem" in item for item in items)
    if a.status < 400 and not is_refused:
        yield f"a stranger gets status {a.status}"


def ended_tokens_are_refused(m: "Model", a: Answer) -> Iterator[str]:
    """A revoked token works for five seconds at most, wherever."""
    ended = a.token_ended
    if ended is not None and a.began - ended > STALENESS + m.skew and a.status < 400:
        yield "its token had been revoked"


# The states of which an answer may tell, by what was asked and its status (or its problem).
_TELLS: Final[dict[tuple[str, int | str], set[str | None]]] = {
    ("announce", 200): {"pending", "confirmed"},
    ("announce", 201): {"pending"},
    ("renew", 200): {"pending"},
    ("confirm", 200): {"confirmed"},
    ("confirm", 202): {"pending", "completing"},
    ("confirm", "upload-rejected"): {"rejected", "removing", "removed"},
    ("confirm", "upload-not-arrived"): {"pending", "completing"},
    ("confirm", "upload-not-pending"): {"removing", "removed", "released", "completing"},
    ("cancel", 204): {"removed"},
    ("cancel", "removal-under-way"): {"removing"},
    ("get", 200): {"confirmed"},
    ("get", 404): {None, "pending", "completing", "rejected", "released", "removing", "removed"},
    ("rename", 200): {"confirmed"},
    ("release", 204): {"released", "removed"},
    ("release", "file-in-use"): {"confirmed"},
    ("remove", 204): {"removed"},
    ("remove", "file-in-use"): {"confirmed"},
    ("put", 200): {"confirmed"},
}


def tells_of_a_moment(m: "Model", a: Answer) -> Iterator[str]:
    """It tells of a state that the file had at some moment between question and answer."""
    allowed = _TELLS.get((a.what, a.problem or a.status), _TELLS.get((a.what, a.status)))
    if allowed is not None and a.file_id is not None:
        states = m.states(a.file_id, a.began, a.ended)
        if not states & allowed:
            yield f"it says so, and the file was {states} meanwhile"


def shows_what_is_kept(m: "Model", a: Answer) -> Iterator[str]:
    """A file is shown as its row has it."""
    if a.what not in {"confirm", "get"} or a.status != 200 or a.json["id"] not in m.files:
        return
    row = m.files[a.json["id"]]
    for name in ("key", "url", "size", "etag", "version_id", "content_type"):
        if row["state"] == "confirmed" and a.json[name] != row[name]:
            yield f"{name} is {a.json[name]}, and {row[name]} is kept"


def lists_are_whole(m: "Model", a: Answer) -> Iterator[str]:
    """All of one's own files that were there all the while, none that never was, and no other's."""
    if a.what != "list" or a.status != 200:
        return
    listed = {item["id"] for item in a.json["items"]}
    for file_id in listed:
        if "confirmed" not in m.states(file_id, a.began, a.ended):
            yield f"{file_id} is listed, and was no file"
    for file_id, row in m.files.items():
        if row["owner"] != a.who and file_id in listed:
            yield f"{file_id} is listed, and is {row['owner']}'s"
        was_file = m.states(file_id, a.began, a.ended) == {"confirmed"}
        if row["owner"] == a.who and was_file and file_id not in listed:
            yield f"{file_id} is not listed"


ANSWERS: Final[list[Rule]] = [
    quarantine_is_kept,
    in_time,
    expected,
    problems_are_known,
    links_end_in_time,
    strangers_see_nothing,
    ended_tokens_are_refused,
    tells_of_a_moment,
    shows_what_is_kept,
    lists_are_whole,
]


def judge(m: "Model", answer: Answer) -> Iterator[str]:
    """All that is wrong with an answer."""
    for rule in ANSWERS:
        for words in rule(m, answer):
            yield f"{answer.who} asked to {answer.what}, and got {answer.status}: {words}"
