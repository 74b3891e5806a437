"""Files of any size for Django's models, by way of Claimcheck. README.md shows how."""

from django_claimcheck.users import acting_as
from django_claimcheck.value import ClaimcheckFile, NoFile, prefetch_claimcheck
from django_claimcheck.views import upload_session

__all__ = ["ClaimcheckFile", "NoFile", "acting_as", "prefetch_claimcheck", "upload_session"]
