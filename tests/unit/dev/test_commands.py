"""`python -m dev` lists its commands, runs one, and explains what it does not know."""

import importlib

import pytest

from dev.__main__ import COMMANDS, main


def test_help_lists_every_command_with_its_purpose(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0

    output = capsys.readouterr().out
    assert all(name in output and purpose in output for name, (_, purpose) in COMMANDS.items())


@pytest.mark.parametrize("arguments", [[], ["unknown"]])
def test_without_a_known_command_the_commands_are_listed_and_it_fails(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    assert "controlplane" in capsys.readouterr().out


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_a_function(command: str) -> None:
    module, _, function = COMMANDS[command][0].partition(":")

    assert callable(getattr(importlib.import_module(module), function))


@pytest.mark.parametrize("command", ["controlplane", "up", "generate"])
def test_unknown_arguments_are_named(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "--fast"]) == 2
    assert "--fast" in capsys.readouterr().err
