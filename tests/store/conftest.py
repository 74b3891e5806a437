"""A profile whose keys tests hand out, and a clock that they move."""

from pathlib import Path

import pytest

from tests.store.steps import Issuer
from tests.support.service import Clock


@pytest.fixture
def issuer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Issuer:
    for name in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    issuer = Issuer(tmp_path)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(issuer.config))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    return issuer


@pytest.fixture
def clock() -> Clock:
    return Clock()
