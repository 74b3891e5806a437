"""A clamd that all tests of scans share, and a service that has files scanned by it."""

from collections.abc import Iterator

import pytest

from app.scans.clamd import Clamd
from tests.support.clamd import LIMIT, limits, start_clamd
from tests.support.steps import setting


@pytest.fixture(scope="package")
def clamd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clamd]:
    with start_clamd(tmp_path_factory.mktemp("clamd"), limits()) as clamd:
        yield clamd


@pytest.fixture
def environ(environ: dict[str, str], clamd: Clamd) -> dict[str, str]:
    return (
        environ
        | {"CLAIMCHECK_CLAMD_URL": clamd.url, "CLAIMCHECK_CLAMD_MAX_SIZE": str(LIMIT)}
        | {"CLAIMCHECK_METRICS_NETWORKS": "127.0.0.1"}
        | setting("files", "scan", "required")
        | setting("files", "max_size", str(LIMIT))
    )
