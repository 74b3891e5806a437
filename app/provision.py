"""Make a private bucket that browsers can upload to."""

from collections.abc import Sequence
from typing import Any

import aioboto3

from app.bucket import open_client
from app.core.destination import Destination


async def make_bucket(
    session: aioboto3.Session, destination: Destination, origins: Sequence[str]
) -> None:
    """Create the destination's bucket: no public access, versions kept, CORS for the origins."""
    bucket = destination.bucket
    async with open_client(session, destination) as s3:
        await s3.create_bucket(Bucket=bucket, **_location(destination.region))
        await s3.put_public_access_block(
            Bucket=bucket,
            PublicAccessBlockConfiguration={
                "BlockPublicAcls": True,
                "IgnorePublicAcls": True,
                "BlockPublicPolicy": True,
                "RestrictPublicBuckets": True,
            },
        )
        await s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        await s3.put_bucket_cors(Bucket=bucket, CORSConfiguration=cors_rules(origins))


def cors_rules(origins: Sequence[str]) -> dict[str, Any]:
    """What browsers of these origins need: to send forms and PUTs, and to read objects."""
    return {
        "CORSRules": [
            {
                "AllowedOrigins": list(origins),
                "AllowedMethods": ["GET", "HEAD", "POST", "PUT"],
                "AllowedHeaders": ["*"],
                "ExposeHeaders": ["ETag", "Location", "x-amz-version-id"],
                "MaxAgeSeconds": 3600,
            }
        ]
    }


def _location(region: str) -> dict[str, Any]:
    # us-east-1 is the one region that must not be named (AWS API, CreateBucket).
    if region == "us-east-1":
        return {}
    return {"CreateBucketConfiguration": {"LocationConstraint": region}}
