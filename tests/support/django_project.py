"""A Django project in a folder of its own, run as its users run it, on SQLite."""

import asyncio
import os
import sqlite3
import sys
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
_SETTINGS = """
import os
from pathlib import Path

SECRET_KEY = "of tests alone"
ALLOWED_HOSTS = ["*"]
USE_TZ = True
ROOT_URLCONF = "urls"
DATABASES = {
    "default": {"ENGINE": "django.db.backends.sqlite3", "NAME": Path(__file__).with_name("db")}
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "shop",
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
]
"""
_URLS = """
from django.urls import include, path

urlpatterns = []
"""
_MANAGE = """
import sys

from django.core.management import execute_from_command_line

execute_from_command_line(sys.argv)
"""


@dataclass(frozen=True)
class DjangoProject:
    """`folder` has settings.py, urls.py, the app `shop`, and the database in the file `db`."""

    folder: Path
    environ: Mapping[str, str]

    async def run(self, *arguments: str) -> tuple[int, str, str]:
        """Exit status, standard output and standard error of Python with these arguments."""
        process = await self.start(*arguments)
        out, error = await process.communicate()
        assert process.returncode is not None
        return process.returncode, out.decode(), error.decode()

    async def start(self, *arguments: str) -> asyncio.subprocess.Process:
        paths = (self.folder, ROOT / "clients/python/src", ROOT / "clients/django/src")
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-W", "error", *arguments),
            cwd=self.folder,
            env=os.environ
            | {"PYTHONPATH": os.pathsep.join(map(str, paths)), "DJANGO_SETTINGS_MODULE": "settings"}
            | self.environ,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )

    def sql(self, statement: str, *rows: Iterable[Any]) -> list[Any]:
        """Execute a statement, for each of the rows if there are some; the rows that it gives."""
        with closing(sqlite3.connect(self.folder / "db")) as db, db:
            return (
                db.executemany(statement, rows).fetchall() if rows else list(db.execute(statement))
            )


async def django_project(
    folder: Path, environ: Mapping[str, str], *, models: str, settings: str, urls: str
) -> DjangoProject:
    """A project of these files, whose tables are made."""
    shop = folder / "shop"
    shop.mkdir(parents=True)
    (shop / "__init__.py").touch()
    (shop / "models.py").write_text(models, encoding="utf-8")
    (folder / "settings.py").write_text(f"{_SETTINGS}{settings}", encoding="utf-8")
    (folder / "urls.py").write_text(f"{_URLS}{urls}", encoding="utf-8")
    (folder / "manage.py").write_text(_MANAGE, encoding="utf-8")
    project = DjangoProject(folder, environ)
    status, _, error = await project.run("manage.py", "migrate", "--run-syncdb", "-v", "0")
    assert status == 0, error
    return project
