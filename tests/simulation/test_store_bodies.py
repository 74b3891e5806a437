"""Bodies of the simulated store: described bytes behave as bytes do."""

import hashlib

import pytest

from tests.simulation.store.body import Body

MIB = 1024**2


@pytest.mark.parametrize(
    "body",
    [Body.real(b"hello, world"), Body.large(12 * MIB + 7, "seed", b"\x89PNG"), Body()],
    ids=["real", "large", "empty"],
)
def test_a_body_that_is_cut_up_and_joined_is_itself(body: Body) -> None:
    for size in (5, 5 * MIB):
        joined = Body()
        for start in range(0, min(body.length, 20 * size), size):
            joined += body.slice(start, start + size)
        whole = body.slice(0, joined.length)
        assert joined == whole
        assert (joined.digest, joined.md5) == (whole.digest, whole.md5)
    assert body.slice(0, body.length) == body


def test_bytes_that_differ_have_other_digests() -> None:
    one, other = Body.large(6 * MIB, "one"), Body.large(6 * MIB, "other")
    swapped = one.slice(3 * MIB, 6 * MIB) + one.slice(0, 3 * MIB)
    digests = {body.digest for body in (one, other, swapped, one.slice(0, 6 * MIB - 1))}
    assert len(digests) == 4


def test_any_stretch_of_a_described_body_reads_the_same() -> None:
    body = Body.large(1000, "seed", b"head")
    data = body.read()
    assert len(data) == 1000
    assert data.startswith(b"head")
    for start, stop in ((0, 3), (2, 9), (63, 65), (100, 1000), (999, 1000)):
        assert body.read(start, stop) == data[start:stop]
        assert body.slice(start, stop).read() == data[start:stop]


def test_small_bodies_have_their_true_digests() -> None:
    body = Body.real(b"hello")
    assert body.md5 == hashlib.md5(b"hello", usedforsecurity=False).digest()
    assert body.sha256 == hashlib.sha256(b"hello").digest()
