"""`python -m dev COMMAND`: the developer's commands, each in a module of its own."""

import importlib
import signal
import sys
from types import FrameType

COMMANDS = {
    "controlplane": (
        "dev.controlplane.commands:build",
        "get the control plane's programs, building them if needed",
    ),
    "up": ("dev.controlplane.commands:up", "run a control plane until Ctrl-C, and say how to reach it"),
    "demo": (
        "dev.demo.main:main",
        "tell the whole story; KEEP=1 leaves it running, KUBE_CONTEXT=name uses another cluster",
    ),
    "node": ("dev.node.command:main", "run the pods of such a control plane as local processes"),
    "generate": (
        "dev.generated:main",
        "write the generated files; --check only says whether they are current",
    ),
}
"""Command: the function that runs it (arguments to exit code), and what it does."""


def main(arguments: list[str]) -> int:
    """Run one command and return its exit code."""
    if not arguments or arguments[0] not in COMMANDS:
        print("usage: python -m dev COMMAND ...\n")
        for name, (_, purpose) in COMMANDS.items():
            print(f"  {name:<14} {purpose}")
        return 0 if arguments in (["-h"], ["--help"]) else 2
    module, _, function = COMMANDS[arguments[0]][0].partition(":")
    signal.signal(signal.SIGTERM, _end)
    try:
        return int(getattr(importlib.import_module(module), function)(arguments[1:]))
    except KeyboardInterrupt:
        return 130


def _end(number: int, _frame: FrameType | None) -> None:
    """End on SIGTERM as on Ctrl-C: every `with` and `finally` on the way is left in order."""
    raise SystemExit(128 + number)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
