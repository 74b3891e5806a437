"""Settings for development. Yours has them already, but for the last two."""

import os
from pathlib import Path

DEBUG = True
SECRET_KEY = "for development only"  # noqa: S105
ROOT_URLCONF = "urls"
INSTALLED_APPS = ["django.contrib.staticfiles", "csp"]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "csp.middleware.CSPMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [Path(__file__).with_name("templates")],
        "OPTIONS": {"context_processors": ["django.template.context_processors.request"]},
    }
]
STATIC_URL = "static/"
STATICFILES_DIRS = [Path(__file__).with_name("static")]

CLAIMCHECK = {
    "URL": "http://127.0.0.1:8000",
    "KEY": os.environ.get("CLAIMCHECK_KEY", "none"),  # `make run` needs none
}
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'none'"],
        "script-src": ["'self'", CLAIMCHECK["URL"]],
        "connect-src": ["'self'", "http://127.0.0.1:*"],
        "img-src": ["data:"],
        "base-uri": ["'none'"],
        "form-action": ["'self'"],
        "frame-ancestors": ["'none'"],
    }
}
