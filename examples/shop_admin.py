"""An admin for a shop: product images go from the browser straight into the bucket.

    CLAIMCHECK_URL=http://127.0.0.1:8000 CLAIMCHECK_KEY=claimcheck_key_... \
      .venv/bin/uvicorn examples.shop_admin:app --host localhost --port 5173

docs/upload-field.md says what has to run beside it. It has no log-in: keep it on this machine.
"""

import os

from jinja2 import DictLoader
from sqlalchemy import create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from starlette.applications import Starlette
from starlette_admin.contrib.sqla import Admin, ModelView

from app.admin.upload_field import ClaimcheckService, S3UploadField, S3UploadPlugin


class Base(DeclarativeBase):
    pass


class Product(Base):
    __tablename__ = "products"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    image: Mapped[str | None]  # the object's URL


class ProductView(ModelView):
    image = S3UploadField("image", destination="images", accept="image/*", max_size=50_000_000)
    fields = ("id", "name", image)


engine = create_engine(os.environ.get("SHOP_DATABASE", "sqlite:///shop.db"))
Base.metadata.create_all(engine)

service = ClaimcheckService(os.environ["CLAIMCHECK_URL"], os.environ["CLAIMCHECK_KEY"])
plugins = [S3UploadPlugin(service)]
# Without this block starlette-admin's pages load a font from another site.
pages = DictLoader({"base.html": '{% extends "@core/base.html" %}{% block fonts %}{% endblock %}'})

app = Starlette()
secret = os.environ.get("SHOP_SECRET")  # needed where several processes serve it
admin = Admin(engine, title="Shop", secret_key=secret, plugins=plugins, additional_loaders=[pages])
admin.add_view(ProductView(Product))
admin.mount_to(app)
