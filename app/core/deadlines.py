"""When the service looks for an upload, how long it waits after its last URL has expired, and how
long it knows a repeat.
"""

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

# S3 checks the expiry when a request begins (AWS userguide, using-presigned-url). An upload that
# began before it is to be confirmed within CONFIRM_WITHIN; no request can still be under way once
# NO_REQUEST_AFTER has passed.
CONFIRM_WITHIN: Final = timedelta(hours=1)
NO_REQUEST_AFTER: Final = timedelta(hours=24)
# Sent parts are kept for this long after the last part's URL expired, for a browser that is offline
# or a laptop that is closed over a weekend. The store must keep them as long, too.
KEEP_PARTS: Final = timedelta(days=3)
# For so long a repeat of a request that has an Idempotency-Key is known.
KEEP_IDEMPOTENCY_KEYS: Final = timedelta(hours=24)
# The sweep looks for an upload that nobody confirms once so much time has passed, and what its
# bytes take at so many a second; then each time after as long again.
FIRST_LOOK: Final = timedelta(seconds=15)
_BYTES_A_SECOND: Final = 12_500_000


def first_look(file_id: UUID, now: datetime, size: int | None) -> datetime:
    """When to look for an upload of so many bytes for which something was signed `now`.

    Spread by the file's id over half of that time, so that many that were announced together are
    not looked for together.
    """
    likely = FIRST_LOOK.total_seconds() + (size or 0) / _BYTES_A_SECOND
    return now + timedelta(seconds=likely * (0.75 + (file_id.int & 0xFF) / 510))
