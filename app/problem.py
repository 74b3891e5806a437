"""The base of failures that somebody is told about; `app.errors` declares each."""

import re
from collections.abc import Mapping
from typing import Any, ClassVar


class ConfigurationError(Exception):
    """Settings are wrong, missing or misspelt; the message has a line for each, which names it. The
    process must not start.
    """

    @property
    def refusal(self) -> str:
        """The message as the process ends with it."""
        first, *others = str(self).splitlines()
        if not others:
            return f"claimcheck cannot start: {first}"
        return "\n  ".join(["claimcheck cannot start:", first, *others])


class Problem(Exception):
    """Base of all problems: `status` and `title` are the class's, `detail` the instance's.

    `extensions` are further members of the JSON (RFC 9457 section 3.2), of those that the class
    names in `members`, and must be JSON values; `retry_after` (seconds) becomes the `Retry-After`
    header, `challenge` the `WWW-Authenticate`; `headers` are further ones.
    """

    status: ClassVar[int]
    title: ClassVar[str]
    members: ClassVar[tuple[str, ...]]
    challenge: ClassVar[str | None]

    def __init_subclass__(
        cls, *, status: int, title: str, members: tuple[str, ...] = (), challenge: str | None = None
    ) -> None:
        cls.status, cls.title, cls.members, cls.challenge = status, title, members, challenge

    def __init__(
        self,
        detail: str,
        *,
        retry_after: int | None = None,
        headers: Mapping[str, str] | None = None,
        **extensions: Any,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.retry_after = retry_after
        self.headers = headers or {}
        self.extensions = extensions

    @property
    def reason(self) -> str | None:
        """The cause in one line, for operators alone; None where there is none."""
        cause = self.__cause__
        if cause is None:
            return None
        return " ".join(str(cause).split()) or type(cause).__name__

    @classmethod
    def slug(cls) -> str:
        return re.sub(r"(?<!^)(?=[A-Z])", "-", cls.__name__).lower()

    @classmethod
    def type_uri(cls) -> str:
        return f"urn:claimcheck:problem:{cls.slug()}"
