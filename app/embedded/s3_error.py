"""An S3 error answer: a status, a code that clients switch on, and a sentence for the developer."""

from __future__ import annotations

import re
from xml.sax.saxutils import escape

from werkzeug.wrappers import Response

# Characters that XML 1.0 does not allow, not even escaped.
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class S3Error(Exception):
    """An error that is answered as S3 answers it.

    `code` is one of the names in S3's list of error responses (AWS, API/ErrorResponses);
    `details` become further elements of the XML.
    """

    def __init__(self, status: int, code: str, message: str, **details: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.details = details

    def response(self, resource: str) -> Response:
        """The answer in S3's XML; `resource` is the requested path."""
        elements = {
            "Code": self.code,
            "Message": self.message,
            **self.details,
            "Resource": resource,
        }
        body = xml_document("Error", elements)
        return Response(body, self.status, content_type="application/xml")


def access_denied(message: str, **details: str) -> S3Error:
    """403 AccessDenied, for a request that is not allowed."""
    return S3Error(403, "AccessDenied", message, **details)


def invalid_argument(message: str) -> S3Error:
    """400 InvalidArgument, for a value that S3 does not accept."""
    return S3Error(400, "InvalidArgument", message)


def xml_document(root: str, elements: dict[str, str]) -> str:
    """A document of one level: `<root><name>text</name>...</root>`."""
    inner = "".join(
        f"<{name}>{escape(_NOT_XML.sub('?', text))}</{name}>" for name, text in elements.items()
    )
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<{root}>{inner}</{root}>'
