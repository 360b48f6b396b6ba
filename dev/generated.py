"""The files that are generated from code and committed: `make generate` writes them, `make drift` compares."""

import difflib
import sys
from collections.abc import Callable
from pathlib import Path

from switchgear_operator.crd import crd_yaml

__all__ = ["GENERATED", "main", "stale"]

_REPOSITORY = Path(__file__).resolve().parent.parent

GENERATED: dict[str, Callable[[], str]] = {
    "crds/circuitbreakerpolicies.switchgear.dev.yaml": crd_yaml,
    "charts/switchgear/files/circuitbreakerpolicies.switchgear.dev.yaml": crd_yaml,
}
"""Path in the repository: what makes its text."""


def main(arguments: list[str]) -> int:
    """Write the generated files, or with `--check` say which ones are not current (exit code 1)."""
    if arguments not in ([], ["--check"]):
        print(f"unknown arguments {' '.join(arguments)}: give --check or nothing", file=sys.stderr)
        return 2
    if arguments:
        return _check()
    for path, make in GENERATED.items():
        target = _REPOSITORY / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(make(), encoding="utf-8")
    return 0


def stale(repository: Path) -> dict[str, str]:
    """The generated files that differ from what is generated now, each with its difference."""
    found = {}
    for path, make in GENERATED.items():
        target = repository / path
        committed = target.read_text(encoding="utf-8") if target.exists() else ""
        wanted = make()
        if committed != wanted:
            lines = difflib.unified_diff(
                committed.splitlines(), wanted.splitlines(), path, "generated", lineterm=""
            )
            found[path] = "\n".join(lines)
    return found


def _check() -> int:
    differences = stale(_REPOSITORY)
    for path, difference in differences.items():
        print(difference)
        print(
            f"{path} is not what the code generates: run `make generate` and commit the result",
            file=sys.stderr,
        )
    return 1 if differences else 0
