"""The files of a deployment work as they are written, and say the same everywhere."""

import json
import re
import secrets
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.embedded.postgres import create_database
from app.settings.model import load_settings, require_deployed
from tests.support.command import claimcheck
from tests.support.deployed import ROOT, Root, procfile, sigterm_under_load

# What Heroku's add-ons put into the environment.
ADDONS = {
    "heroku-postgresql": {"DATABASE_URL": "postgres://u:p@ec2-1-2-3-4.example.com:5432/d"},
    "bucketeer": {
        "BUCKETEER_AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
        "BUCKETEER_AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        "BUCKETEER_AWS_REGION": "us-east-1",
        "BUCKETEER_BUCKET_NAME": "bucketeer-00000000-0000-0000-0000-000000000000",
    },
}
# Heroku Dev Center, "app.json Schema" and "Building Docker Images with heroku.yml".
APP_JSON = {
    *("addons", "buildpacks", "description", "env", "environments", "formation", "image"),
    *("keywords", "logo", "name", "repository", "scripts", "stack", "success_url", "website"),
}
HEROKU_YML = {
    "setup": {"addons", "config"},
    "build": {"docker", "config"},
    "release": {"image", "command"},
    "run": {"web", "worker"},
}


@pytest.fixture
def app_json() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((ROOT / "app.json").read_text())
    return found


@pytest.fixture
def heroku_yml() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / "heroku.yml").read_text())
    return found


def test_the_button_makes_a_service_that_starts(app_json: dict[str, Any]) -> None:
    assert app_json.keys() <= APP_JSON
    assert app_json["stack"] == "container"
    environ = {}
    for addon in app_json["addons"]:
        assert addon.keys() == {"plan"}
        environ |= ADDONS[addon["plan"].partition(":")[0]]
    for name, variable in app_json["env"].items():
        assert variable.keys() <= {"description", "generator", "required", "value"}
        assert variable["description"]
        if "generator" in variable:
            assert variable["generator"] == "secret"
            environ[name] = secrets.token_hex(32)
        else:
            environ[name] = variable.get("value", "")
    require_deployed(load_settings(environ))
    for process in app_json["formation"].values():
        assert process.keys() == {"quantity", "size"}
    assert app_json["formation"].keys() == {"web", "worker"}


def test_heroku_yml_does_what_the_procfile_does(
    app_json: dict[str, Any], heroku_yml: dict[str, Any]
) -> None:
    assert heroku_yml.keys() == HEROKU_YML.keys()
    for section, keys in HEROKU_YML.items():
        assert heroku_yml[section].keys() <= keys
    lines = procfile()
    assert heroku_yml["release"] == {"image": "web", "command": [lines["release"]]}
    assert heroku_yml["run"]["web"] == lines["web"]
    assert heroku_yml["run"]["worker"] == {"image": "web", "command": [lines["worker"]]}
    assert (ROOT / heroku_yml["build"]["docker"]["web"]).exists()
    plans = [addon["plan"] for addon in heroku_yml["setup"]["addons"]]
    assert plans == [addon["plan"] for addon in app_json["addons"]]
    # No generator there: the guide has the secret made by hand.
    fixed = {name: v["value"] for name, v in app_json["env"].items() if v.get("value")}
    assert heroku_yml["setup"]["config"] == fixed


def test_the_image_starts_what_the_procfile_starts() -> None:
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    [command] = [line.removeprefix("CMD ") for line in lines if line.startswith("CMD ")]
    assert json.loads(command) == procfile()["web"].removeprefix("exec ").split()


def test_compose_starts_what_the_procfile_starts() -> None:
    services = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
    lines = procfile()
    assert services["release"]["command"] == lines["release"]
    assert "command" not in services["web"]
    assert services["worker"]["command"] == lines["worker"].removeprefix("exec ")
    for name in ("web", "worker"):
        # As long as Heroku gives them; compose's own 10 s would cut requests off.
        assert services[name]["stop_grace_period"] == "30s"
        assert services[name]["depends_on"]["release"]["condition"] == (
            "service_completed_successfully"
        )


def test_the_guide_shows_the_procfile() -> None:
    guide = (ROOT / "docs" / "deploy.md").read_text()
    assert f"```Procfile\n{(ROOT / 'Procfile').read_text()}```" in guide


def test_the_commands_of_the_guide_exist() -> None:
    guide = (ROOT / "docs" / "deploy.md").read_text()
    known = set(re.findall(r"^    (\w+)\b", claimcheck("--help").stdout, re.MULTILINE))
    named = set(re.findall(r"(?:`| )(?:claimcheck|app\.cli) ([a-z]+)(?=[ `\n])", guide))
    assert {"sweep", "reconcile", "keys", "bucket", "doctor", "migrate"} <= named
    # The rest are words behind the image's name.
    assert named - known <= {"alembic", "python"}


def test_the_guides_environment_is_complete() -> None:
    guide = (ROOT / "docs" / "deploy.md").read_text()
    lines = guide.partition("cat > .env <<'END'\n")[2].partition("\nEND\n")[0].splitlines()
    require_deployed(load_settings(dict(line.split("=", 1) for line in lines)))


async def test_two_releases_at_once_and_sigterm_under_load(
    postgres_url: str, environ: dict[str, str], tmp_path: Path
) -> None:
    """Release and web as the Procfile has them, on `postgres://` and `$PORT`."""
    url = create_database(postgres_url, f"deployed_{secrets.token_hex(6)}")
    deployed = {
        **{name: value for name, value in environ.items() if name != "CLAIMCHECK_AUTH"},
        "DATABASE_URL": url.replace("postgresql://", "postgres://"),
        "CLAIMCHECK_AUTH": "keys",
        "TMPDIR": str(tmp_path),
    }
    here, log = Root(), tmp_path / "log"
    assert await here.run(procfile()["release"], deployed, log) == 0, log.read_text()
    for workers in (1, 2):
        assert await sigterm_under_load(here, deployed, log, workers=workers) > 0
    assert "Traceback" not in log.read_text()
