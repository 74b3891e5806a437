"""A Django REST view that signs an upload the way it is usually taught: a client for each URL.

`gunicorn --pythonpath bench/peers django_site:application`, in an environment of its own.
"""

import os

import boto3
import django
from botocore.config import Config
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.urls import path

settings.configure(
    SECRET_KEY="a secret of the benchmark",  # noqa: S106
    ALLOWED_HOSTS=["127.0.0.1"],
    ROOT_URLCONF=__name__,
    INSTALLED_APPS=["rest_framework"],
    REST_FRAMEWORK={
        "DEFAULT_AUTHENTICATION_CLASSES": [],
        "DEFAULT_PERMISSION_CLASSES": [],
        "UNAUTHENTICATED_USER": None,
    },
)
django.setup()

from rest_framework import serializers  # noqa: E402 (needs the settings above)
from rest_framework.response import Response  # noqa: E402
from rest_framework.views import APIView  # noqa: E402


class KeySerializer(serializers.Serializer):
    """The body of a client's request."""

    object_key = serializers.CharField(max_length=1024)


class UploadUrlView(APIView):
    """POST an object key, get a presigned POST for it."""

    def post(self, request):
        serializer = KeySerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        key = serializer.validated_data["object_key"]
        session = boto3.session.Session(
            aws_access_key_id=os.environ["BENCH_ACCESS_KEY"],
            aws_secret_access_key=os.environ["BENCH_SECRET_KEY"],
            region_name=os.environ["BENCH_REGION"],
        )
        client = session.client(
            "s3",
            endpoint_url=os.environ["BENCH_ENDPOINT"],
            config=Config(signature_version="s3v4"),
        )
        signed = client.generate_presigned_post(os.environ["BENCH_BUCKET"], key, ExpiresIn=3600)
        return Response({"object_key": key, "upload_url_dict": signed})


urlpatterns = [path("upload-url", UploadUrlView.as_view())]
application = get_wsgi_application()
