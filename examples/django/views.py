"""A form whose pictures go straight into the bucket; this program never sees their bytes."""

import httpx
from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest
from django.shortcuts import render
from django.views.decorators.http import require_POST

claimcheck = httpx.Client(
    base_url=settings.CLAIMCHECK["URL"],
    headers={"Authorization": f"Bearer {settings.CLAIMCHECK['KEY']}"},
)


@require_POST
def upload_session(request: HttpRequest) -> HttpResponse:
    """The token with which this browser may upload: the same after a reload, so it goes on."""
    # Here: @login_required, and may they upload?
    if token := request.COOKIES.get("upload_session"):
        return HttpResponse(token, content_type="text/plain")
    wanted = {"destination": "images", "max_files": 100, "expires_in": 86_400}
    made = claimcheck.post("/v1/upload-sessions", json=wanted)
    token = made.raise_for_status().json()["token"]
    response = HttpResponse(token, content_type="text/plain")
    # The cookie ends before the session does.
    response.set_cookie("upload_session", token, max_age=43_200, httponly=True, samesite="Strict")
    return response


def pictures(request: HttpRequest) -> HttpResponse:
    """The form; when it is sent, the service is asked: what a form says proves nothing."""
    if request.method != "POST":
        return render(request, "page.html")
    ids = request.POST.getlist("file")
    found = claimcheck.post("/v1/files/presign", json={"ids": ids})
    items = found.json()["items"] if found.is_success else [{"problem": found.json()}]
    if any("problem" in item for item in items):
        return HttpResponseBadRequest("These are no pictures of ours.")
    # Keep the ids, or the URLs. The links expire.
    return render(request, "saved.html", {"pictures": items})
