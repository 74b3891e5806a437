from django.urls import path
from views import pictures, upload_session

urlpatterns = [path("", pictures), path("upload-session", upload_session)]
