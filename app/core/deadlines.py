"""How long after the last URL of an upload ended something is still waited for."""

from datetime import timedelta
from typing import Final

# A URL's end is looked at when a request begins (AWS userguide, using-presigned-url): what began
# before it is given so long to become a file, and after so much longer nothing can come any more.
GRACE: Final = timedelta(hours=1)
LATE: Final = timedelta(hours=24)
# Parts that were sent are kept so long after the last URL for another ended: for a browser that is
# offline, or a laptop that is closed over a weekend. The store must keep them as long, too.
PAUSE: Final = timedelta(days=3)
