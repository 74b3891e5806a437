import string

import pytest
from pydantic import ValidationError

from app.core.record_field import RecordField, is_record_id

GOOD = ["1", "a" * 200, "019ac8a0-7c1e-7d54-8a3f-0f6f3b1f9a51", "A_b.c~d:e@f", "..."]


def test_ids() -> None:
    assert all(map(is_record_id, GOOD))
    taken = "".join(c for c in map(chr, range(0x300)) if is_record_id(f"a{c}"))
    assert set(taken) == set(string.ascii_letters + string.digits + string.punctuation) - set("/,")
    for text in ("", "a" * 201, ".", "..", "a\n", " a", "é", "日"):
        assert not is_record_id(text), repr(text)


def test_capacity() -> None:
    assert RecordField(destination="images").capacity == 1
    assert RecordField(destination="images", many=True).capacity == 20
    assert RecordField(destination="images", many=True, max_files=3).capacity == 3
    for max_files in (0, -1, 101):
        with pytest.raises(ValidationError):
            RecordField(destination="images", many=True, max_files=max_files)
