"""Settings from a given environment, and why they are refused."""

import pytest

from app.errors import ConfigurationError
from app.settings.model import Settings, load_settings

SECRET = "wJalrXUtnFEMI-hunter2-and-longer-than-that"
DESTINATION = "CLAIMCHECK_DESTINATIONS__"
HEROKU = "postgres://u:hunter2@ec2-1.compute.amazonaws.com:5432/d3?sslmode=require"


def load(**environ: str) -> Settings:
    return load_settings(environ)


def refusal(**environ: str) -> str:
    with pytest.raises(ConfigurationError) as caught:
        load_settings(environ)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    return str(caught.value)
