"""Who am I: the order in which the sources are asked, and what is no answer."""

from pathlib import Path

import pytest

from switchgear.identity import Identity, find_identity


@pytest.fixture
def podinfo(tmp_path: Path) -> Path:
    path = tmp_path / "podinfo"
    path.mkdir()
    return path


def find(podinfo: Path, **environ: str) -> Identity:
    account = podinfo.parent / "account"
    return find_identity({"SWITCHGEAR_PODINFO_DIR": str(podinfo), **environ}, str(account))


def give_account(podinfo: Path, namespace: str) -> None:
    (podinfo.parent / "account").mkdir()
    (podinfo.parent / "account" / "namespace").write_text(namespace)


def test_the_downward_apis_files_come_first(podinfo: Path) -> None:
    (podinfo / "namespace").write_text("shop\n")
    (podinfo / "name").write_text("checkout-7f.x")
    give_account(podinfo, "other")

    assert find(podinfo, SWITCHGEAR_NAMESPACE="bank", POD_NAME="x") == Identity("shop", "checkout-7f.x")


def test_then_the_environment(podinfo: Path) -> None:
    give_account(podinfo, "other")

    assert find(podinfo, SWITCHGEAR_NAMESPACE="bank", POD_NAME="x") == Identity("bank", "x")


def test_then_for_the_namespace_the_service_account(podinfo: Path) -> None:
    give_account(podinfo, "other")

    assert find(podinfo) == Identity("other", "")


def test_else_it_is_unknown(podinfo: Path) -> None:
    assert find(podinfo) == Identity("", "")
    assert find(podinfo / "missing") == Identity("", "")
    assert find(Path("nul\0byte")) == Identity("", "")


@pytest.mark.parametrize("content", [b"", b"Not A Name", b"\xff\xfe", b"a" * 100_000, b"a/b"])
def test_a_file_without_a_name_is_passed_over(podinfo: Path, content: bytes) -> None:
    (podinfo / "namespace").write_bytes(content)

    assert find(podinfo, SWITCHGEAR_NAMESPACE="bank").namespace == "bank"


def test_a_directory_in_a_files_place_is_passed_over(podinfo: Path) -> None:
    (podinfo / "namespace").mkdir()

    assert find(podinfo).namespace == ""


@pytest.mark.parametrize("value", ["Shop", "a b", "-a", "a.b", "a" * 64])
def test_a_declared_namespace_that_is_none_is_refused(podinfo: Path, value: str) -> None:
    with pytest.raises(ValueError, match=r"SWITCHGEAR_NAMESPACE is .*: give the name of a namespace"):
        find(podinfo, SWITCHGEAR_NAMESPACE=value)
