"""The image: what it holds, and what its builder says where it cannot build."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

REPOSITORY = Path(__file__).parents[3]


def requirements(text: str) -> set[str]:
    return {line for line in text.splitlines() if line and not line.startswith(("#", "-c"))}


def test_the_image_holds_the_operators_extra_and_what_the_example_calls_with() -> None:
    extras = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["optional-dependencies"]

    wanted = requirements((REPOSITORY / "requirements" / "operator.in").read_text())

    assert wanted == {*extras["operator"], *extras["httpx"]}


def test_the_image_locks_the_versions_that_the_tests_run_with() -> None:
    pinned = {name: locked(name) for name in ("dev", "operator")}

    assert pinned["operator"].items() <= pinned["dev"].items()


def locked(name: str) -> dict[str, str]:
    text = (REPOSITORY / "requirements" / f"{name}.txt").read_text()
    return dict(re.findall(r"^([\w.-]+)==(\S+)", text, re.MULTILINE))


def test_without_any_builder_it_names_the_packages_to_install(tmp_path: Path) -> None:
    for program in ("bash", "dirname", "rm", "mkdir", "cp"):
        (tmp_path / program).symlink_to(Path("/bin") / program)
    environment = {"PATH": str(tmp_path), "VENV": sys.prefix, "HOME": os.environ["HOME"]}

    done = subprocess.run(
        [REPOSITORY / "dev" / "image.sh"], env=environment, capture_output=True, text=True, check=False
    )

    assert done.returncode == 1
    assert "the image needs buildah" in done.stderr
    assert "apt-get install buildah mmdebstrap" in done.stderr


def test_without_a_virtual_environment_it_says_how_to_make_one(tmp_path: Path) -> None:
    done = subprocess.run(
        [REPOSITORY / "dev" / "image.sh"],
        env={"PATH": os.environ["PATH"], "VENV": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 1
    assert "does not exist: run make venv first" in done.stderr
