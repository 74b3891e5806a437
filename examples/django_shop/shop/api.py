"""The shop's API: everybody may read products, those with Django's permissions change them."""

from django_claimcheck import upload_session
from django_claimcheck.rest import ClaimcheckSerializerField
from rest_framework import serializers, viewsets
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from shop.models import Product


class ProductSerializer(serializers.ModelSerializer):
    """`image` and `video` are ids of files that were uploaded; links to them expire."""

    image = ClaimcheckSerializerField(shows="id", required=False)
    video = ClaimcheckSerializerField(shows="id", required=False)
    presigned_image = ClaimcheckSerializerField(source="image", read_only=True)
    presigned_video = ClaimcheckSerializerField(source="video", read_only=True)

    class Meta:
        model = Product
        fields = ("id", "name", "price", "image", "presigned_image", "video", "presigned_video")


class ProductViewSet(viewsets.ModelViewSet):
    queryset = Product.objects.all()
    serializer_class = ProductSerializer

    @action(methods=["POST"], detail=False, url_path="upload-session/(?P<field>image|video)")
    def upload_session(self, request: Request, field: str) -> Response:
        """For apps and scripts: with this session they upload, then they send the file's id."""
        return Response(upload_session(request, Product._meta.get_field(field)))
