# The service alone: no embedded store or database, no tests, no pip, no root.
# docs/deploy.md says how to pin the base by its digest.
FROM python:3.11-slim AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /venv
WORKDIR /srv
COPY requirements.txt ./
RUN /venv/bin/pip install --require-hashes -r requirements.txt
COPY pyproject.toml README.md ./
COPY app app
# Editable, so that the package finds alembic.ini and alembic beside it.
RUN /venv/bin/pip install --no-deps --no-build-isolation -e . \
 && /venv/bin/pip uninstall --yes setuptools pip

FROM python:3.11-slim
# Nobody installs anything here: pip and the copies of libraries in it are only a surface.
RUN rm -rf /usr/local/bin/pip* /usr/local/lib/python3.11/ensurepip \
  /usr/local/lib/python3.11/site-packages/pip /usr/local/lib/python3.11/site-packages/pip-* \
 && useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin claimcheck
WORKDIR /srv
COPY --from=build /venv /venv
COPY --from=build /srv /srv
COPY alembic.ini ./
COPY alembic alembic
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PORT=8000
# By number, so that Kubernetes can see that it is not root.
USER 10001
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=3s --start-period=10s \
  CMD ["python", "-c", "import os, urllib.request as u; u.urlopen(f'http://127.0.0.1:{os.environ[\"PORT\"]}/livez', timeout=2)"]
CMD ["python", "-m", "app.cli", "serve"]
