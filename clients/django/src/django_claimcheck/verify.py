"""Ids that a browser gives are asked about at the service before they are kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from claimcheck_client import ClaimcheckError
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from django_claimcheck.conf import conf
from django_claimcheck.users import current_user
from django_claimcheck.value import ClaimcheckFile, NoFile, is_id

if TYPE_CHECKING:
    from django_claimcheck.fields import ClaimcheckField


def verified(field: ClaimcheckField, given: str) -> ClaimcheckFile:
    """The file with this id; `kept(field)` is what to store.

    Raises ValidationError, unless it is a file of the field's destination that the user who is
    signed in has uploaded, and that no scanner has found fault with.
    """
    user = current_user()
    if user is None:
        raise ValidationError(_("Sign in, and choose the file again."), code="signed_out")
    found = ClaimcheckFile(field, given)
    try:
        file = found.file if is_id(given) else None
    except NoFile:
        file = None
    except ClaimcheckError as error:
        message = _("The upload service does not answer. Try again later.")
        raise ValidationError(message, code="unavailable") from error
    # One answer for all that is not theirs, so that nobody learns what there is.
    if file is None or (file["destination"], file["owner"]) != (field.dest, conf().owner(user)):
        message = _("The upload service has no such file of yours. Choose the file again.")
        raise ValidationError(message, code="unknown")
    if file["presigned_url"] is None and file["scan"] != "pending":
        message = _("The file was not found to be free of viruses. Choose another.")
        raise ValidationError(message, code="quarantined")
    return found
