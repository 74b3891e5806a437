"""A field for starlette-admin whose files go from the browser straight into the bucket.

    service = ClaimcheckService("https://uploads.example.com", key)
    admin = Admin(engine, plugins=[S3UploadPlugin(service)])
    fields = ["id", "name", S3UploadField("image", destination="images")]

It imports nothing of the service that it talks to, so this folder can be copied into a project.
docs/upload-field.md has all of it.
"""

from .field import S3UploadField
from .plugin import S3UploadPlugin
from .service import ClaimcheckService, ServiceFailed, UploadedFile, UploadService

__all__ = [
    "ClaimcheckService",
    "S3UploadField",
    "S3UploadPlugin",
    "ServiceFailed",
    "UploadService",
    "UploadedFile",
]
