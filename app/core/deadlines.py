"""How long the service waits for an upload after its last URL has expired, and for repeats."""

from datetime import timedelta
from typing import Final

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
