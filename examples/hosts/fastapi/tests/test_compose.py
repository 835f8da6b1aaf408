"""Has the compose file the form of one, with the settings that the service knows?"""

from __future__ import annotations

import re

import pytest
import yaml
from conftest import HERE
from quorate_host.settings import Settings

REPOSITORY = HERE.parents[2]


@pytest.fixture(scope="module")
def compose():
    return yaml.safe_load((HERE / "compose.yaml").read_text())


def test_one_writes_and_the_others_read(compose):
    services = compose["services"]
    roles = {name: service["environment"]["QUORATE_HOST_ROLE"] for name, service in services.items()}
    assert roles == {"writer": "writer", "reader": "reader"}
    assert services["reader"]["depends_on"] == {"writer": {"condition": "service_healthy"}}
    # Two writers would be one too many, and one address each is enough for one.
    assert services["writer"]["ports"] == ["127.0.0.1:8000:8000"] and "deploy" not in services["writer"]


def test_keys_are_those_of_the_specification(compose):
    known = {"build", "image", "restart", "init", "read_only", "tmpfs", "cap_drop", "security_opt", "stop_grace_period", "volumes", "environment", "ports", "depends_on"}
    assert {key for key in compose if not key.startswith("x-")} == {"name", "services", "volumes"}
    for service in compose["services"].values():
        assert set(service) <= known
        assert re.fullmatch(r"\d+s", service["stop_grace_period"])
        assert all(re.fullmatch(r"127\.0\.0\.1:\d+(-\d+)?:8000", port) for port in service["ports"])
        assert all(isinstance(value, str) for value in service["environment"].values())
        assert [volume.split(":")[0] for volume in service["volumes"]] == list(compose["volumes"])


def test_what_it_names_is_there(compose):
    for service in compose["services"].values():
        context = (HERE / service["build"]["context"]).resolve()
        assert context == REPOSITORY and (context / service["build"]["dockerfile"]).is_file()
        told = {name: re.sub(r"\$\{.*\}", "", value) for name, value in service["environment"].items()}
        read = Settings.from_environment({**told, "QUORATE_HOST_JWT_SECRET": "x" * 32})
        assert read.role == service["environment"]["QUORATE_HOST_ROLE"] and str(read.folder).startswith("/data/")
        assert int(service["stop_grace_period"][:-1]) > read.grace_seconds + 5
    secret = compose["services"]["writer"]["environment"]["QUORATE_HOST_JWT_SECRET"]
    assert secret.startswith("${QUORATE_HOST_JWT_SECRET:?")
    docker = (HERE / "Dockerfile").read_text()
    assert 'CMD ["python", "-m", "quorate_host"' in docker and "/v1/health/ready" in docker
