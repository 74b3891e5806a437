"""`python -m claimcheck_client`: as `claimcheck-upload`."""

import sys

from claimcheck_client.command import main

sys.exit(main())
