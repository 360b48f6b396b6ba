"""Where the API server is and who we are to it: from a kubeconfig, or from the pod; for our client and for kopf alike."""

import base64
import json
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from kubernetes.aio.config import incluster_config

from switchgear_operator.connection import Connection, ConnectionFailedError

SERVER = "https://127.0.0.1:6443"


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a machine without a cluster."""
    for name in ("KUBECONFIG", "KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT"):
        monkeypatch.delenv(name, raising=False)


def kubeconfig(path: Path, user: dict[str, Any], cluster: dict[str, Any] | None = None) -> Path:
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {"name": "one", "cluster": {"server": SERVER, **(cluster or {})}},
            {"name": "two", "cluster": {"server": "https://127.0.0.2:6443"}},
        ],
        "users": [{"name": "user", "user": user}],
        "contexts": [
            {"name": "first", "context": {"cluster": "one", "user": "user"}},
            {"name": "second", "context": {"cluster": "two", "user": "user"}},
        ],
        "current-context": "first",
    }
    path.write_text(json.dumps(document))
    return path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "kubeconfig"


async def test_a_token(path: Path) -> None:
    connection = Connection(str(kubeconfig(path, {"token": "secret"})))

    configuration, info = await connection.load(), await connection.login()

    assert configuration.host == info.server == SERVER
    assert configuration.api_key["BearerToken"].split(" ")[1] == "secret"
    assert info.as_http_headers()["Authorization"].lower() == "bearer secret"
    assert configuration.verify_ssl is True
    assert info.insecure is False


async def test_the_environment_names_a_kubeconfig(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig(path, {"token": "secret"})))

    assert (await Connection().login()).token == "secret"


async def test_a_flag_wins_over_the_environment(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(path.with_name("other")))

    assert (await Connection(str(kubeconfig(path, {"token": "secret"}))).login()).token == "secret"


async def test_another_context(path: Path) -> None:
    connection = Connection(str(kubeconfig(path, {"token": "secret"})), context="second")

    assert (await connection.load()).host == (await connection.login()).server == "https://127.0.0.2:6443"


async def test_a_token_in_a_file_is_read_anew_each_time(path: Path) -> None:
    token = path.with_name("token")
    token.write_text("old")
    connection = Connection(str(kubeconfig(path, {"tokenFile": str(token)})))
    assert (await connection.login()).token == "old"

    token.write_text("new")

    assert (await connection.login()).token == "new"
    assert (await connection.load()).api_key["BearerToken"].endswith(" new")


async def test_a_token_is_used_for_about_a_minute(path: Path) -> None:
    before = datetime.now(UTC)

    info = await Connection(str(kubeconfig(path, {"token": "secret"}))).login()

    assert info.expiration is not None
    assert timedelta(seconds=30) < info.expiration - before < timedelta(seconds=90)


async def test_a_client_certificate(path: Path) -> None:
    certificate, key = path.with_name("crt"), path.with_name("key")
    certificate.write_text("certificate")
    key.write_text("key")
    user = {"client-certificate": str(certificate), "client-key": str(key)}

    info = await Connection(str(kubeconfig(path, user))).login()

    assert (info.certificate_path, info.private_key_path) == (str(certificate), str(key))
    assert info.token is None
    assert info.as_http_headers() == {}


async def test_certificates_in_the_kubeconfig_become_private_files_and_one_each_however_often_they_are_read(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()

    def data(text: str) -> str:
        return base64.b64encode(text.encode()).decode()

    cluster = {"certificate-authority-data": data("authority")}
    user = {"client-certificate-data": data("certificate"), "client-key-data": data("key")}
    connection = Connection(str(kubeconfig(path, user, cluster)))

    for _ in range(20):
        await connection.load()
    info = await connection.login()

    files = list((tmp_path / "temporary").iterdir())
    assert sorted(each.read_text() for each in files) == ["authority", "certificate", "key"]
    assert {each.stat().st_mode & 0o777 for each in files} == {0o600}
    assert {str(info.ca_path), str(info.certificate_path), str(info.private_key_path)} == {
        str(each) for each in files
    }


async def test_a_server_that_is_not_to_be_verified(path: Path) -> None:
    connection = Connection(str(kubeconfig(path, {"token": "secret"}, {"insecure-skip-tls-verify": True})))

    assert (await connection.load()).verify_ssl is False
    assert (await connection.login()).insecure is True


async def test_a_proxy(path: Path) -> None:
    cluster = {"proxy-url": "http://proxy.example:3128"}
    connection = Connection(str(kubeconfig(path, {"token": "secret"}, cluster)))

    assert (
        (await connection.load()).proxy == (await connection.login()).proxy_url == "http://proxy.example:3128"
    )


async def test_a_program_that_gives_a_token_is_asked_each_time(path: Path) -> None:
    counter = path.with_name("asked")
    script = path.with_name("plugin.py")
    script.write_text(
        "import json, pathlib\n"
        f"asked = pathlib.Path({str(counter)!r})\n"
        "count = int(asked.read_text()) + 1 if asked.exists() else 1\n"
        "asked.write_text(str(count))\n"
        "print(json.dumps({'apiVersion': 'client.authentication.k8s.io/v1', 'kind': 'ExecCredential',\n"
        "                  'status': {'token': f'token-{count}'}}))\n"
    )
    plugin = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": sys.executable,
        "args": [str(script)],
        "interactiveMode": "Never",
    }
    connection = Connection(str(kubeconfig(path, {"exec": plugin})))

    assert (await connection.login()).token == "token-1"
    assert (await connection.login()).token == "token-2"


async def test_in_a_pod_the_token_is_read_anew_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    token, authority = tmp_path / "token", tmp_path / "ca.crt"
    token.write_text("old")
    authority.write_text("authority")
    monkeypatch.setattr(incluster_config, "SERVICE_TOKEN_FILENAME", str(token))
    monkeypatch.setattr(incluster_config, "SERVICE_CERT_FILENAME", str(authority))
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.96.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    connection = Connection()
    assert (await connection.login()).token == "old"

    token.write_text("new")

    info, configuration = await connection.login(), await connection.load()
    assert (info.server, info.ca_path, info.token) == ("https://10.96.0.1:443", str(authority), "new")
    assert configuration.api_key["BearerToken"].endswith(" new")


async def test_neither_a_kubeconfig_nor_a_pod_is_told_with_the_remedy() -> None:
    with pytest.raises(ConnectionFailedError, match="give --kubeconfig or KUBECONFIG, or run in a pod"):
        await Connection().load()
