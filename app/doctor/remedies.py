"""Remedies by S3 error code (AWS API, ErrorResponses)."""

from typing import Final

APPLY: Final = "Run `claimcheck bucket apply`."

_REMEDIES: Final = {
    "InvalidAccessKeyId": "The store does not know AWS_ACCESS_KEY_ID: set a key of this store, "
    "and see that AWS_S3_ENDPOINT_URL is the store that it belongs to.",
    "SignatureDoesNotMatch": "AWS_SECRET_ACCESS_KEY does not belong to AWS_ACCESS_KEY_ID: set "
    "both anew. If they are right, something in between changes the request.",
    "InvalidToken": "AWS_SESSION_TOKEN does not belong to the keys: set all three anew.",
    "ExpiredToken": "The temporary keys have ended: renew them, or use a role that renews them.",
    "RequestTimeTooSkewed": "Keep this machine's clock with NTP (timedatectl, chrony).",
    "NoSuchBucket": "Correct AWS_STORAGE_BUCKET_NAME, or make the bucket with "
    "`claimcheck bucket apply`.",
    "PermanentRedirect": "The bucket is in another region: set AWS_S3_REGION_NAME to it.",
    "AuthorizationHeaderMalformed": "The bucket is in another region: set AWS_S3_REGION_NAME.",
    "AccessControlListNotSupported": "The bucket takes no ACLs, and needs none: take the "
    "destination's `acl` setting out.",
    "KMS.NotFoundException": "The destination's kms_key_id names no key of this region.",
    "KMS.DisabledException": "Enable the KMS key, or take it out of the destination.",
}


def remedy_for(answer: str, *rights: str) -> str:
    """The remedy for the first known code in `answer`, the store's answer in any form.

    `rights` are the IAM actions that the request needed, named where access was denied.
    """
    for code, remedy in _REMEDIES.items():
        if code in answer:
            return remedy
    if rights and any(word in answer for word in ("AccessDenied", "403", "Forbidden")):
        return (
            f"Give the service {' and '.join(rights)}, as `claimcheck bucket iam` prints it, and "
            "look for a bucket policy that denies it."
        )
    return "Look the answer up in the store's manual; docs/bucket.md names what stores lack."
