"""What the operator is told: flags, each with an environment variable, checked before anything starts."""

import argparse
import ipaddress
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version

__all__ = ["Options", "parse_options"]


_NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The options, as checked values. Durations are seconds."""

    namespaces: tuple[str, ...]
    """Namespaces to serve; empty for all."""
    kubeconfig: str | None
    context: str | None
    address: str
    port: int
    workers: int
    scrape_interval: float
    scrape_timeout: float
    scrape_concurrency: int
    allow_host_network: bool
    log_format: str
    log_level: str


def parse_options(arguments: Sequence[str], environ: Mapping[str, str] = os.environ) -> Options:
    """Read the options of `run`; a flag wins over its variable.

    Raises:
        SystemExit: With 0 after --help and --version; with 2, and the flag, the value and the remedy on standard
            error, after a bad value.
    """
    parser = argparse.ArgumentParser(
        prog="switchgear-operator",
        allow_abbrev=False,
        description="Circuit breaker policies into ConfigMaps, and the fleet's state into the policies' status.",
        epilog="Each flag can be given as an environment variable instead: --scrape-interval as "
        "SWITCHGEAR_OPERATOR_SCRAPE_INTERVAL, and so on; the flag wins.",
    )
    parser.add_argument("--version", action="version", version=f"switchgear-operator {version('switchgear')}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    run = commands.add_parser(
        "run", help="run the operator until SIGTERM", epilog=parser.epilog, allow_abbrev=False
    )
    _add_flags(run, environ)
    values = vars(parser.parse_args(arguments))
    del values["command"]
    options = Options(**values)
    if options.scrape_timeout > options.scrape_interval:
        run.error(
            f"argument --scrape-timeout: {options.scrape_timeout:g} s is longer than --scrape-interval "
            f"({options.scrape_interval:g} s): lower the timeout or raise the interval"
        )
    return options


def _add_flags(run: argparse.ArgumentParser, environ: Mapping[str, str]) -> None:
    def flag(name: str, kind: Callable[[str], object], default: str | None, text: str, metavar: str) -> None:
        given = environ.get(f"SWITCHGEAR_OPERATOR_{name.upper().replace('-', '_')}") or default
        shown = "" if default in {None, ""} else f" (default: {default})"
        # A text for a default is converted and checked by argparse as if it had been given as the flag.
        run.add_argument(f"--{name}", type=kind, default=given, metavar=metavar, help=text + shown)

    flag("namespaces", _namespaces, "", "namespaces to serve, separated by commas (default: all)", "NAMES")
    flag(
        "kubeconfig",
        str,
        None,
        "kubeconfig file (default: KUBECONFIG, else the pod's service account)",
        "FILE",
    )
    flag("context", str, None, "context of the kubeconfig (default: its current one)", "NAME")
    flag("address", _ip_address, "0.0.0.0", "address that /healthz, /readyz and /metrics listen on", "IP")  # noqa: S104  # a pod's
    flag("port", _whole(1, 65535), "8080", "port that they listen on", "PORT")
    flag("workers", _whole(1, 64), "4", "namespaces reconciled at the same time", "N")
    flag("scrape-interval", _seconds(0.2, 3600), "5", "seconds between two looks at each pod", "SECONDS")
    flag(
        "scrape-timeout", _seconds(0.1, 60), "2", "seconds after which a pod's answer is given up", "SECONDS"
    )
    flag("scrape-concurrency", _whole(1, 1000), "64", "pods asked at the same time", "N")
    flag("allow-host-network", _yes_or_no, "no", "yes: look at pods on their host's network too", "yes|no")
    flag("log-format", _one_of("json", "text"), "text", "json or text, a line each", "FORMAT")
    flag(
        "log-level",
        _one_of("debug", "info", "warning", "error"),
        "info",
        "least severe level logged",
        "LEVEL",
    )


def _namespaces(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    for name in names:
        if not _NAMESPACE.fullmatch(name):
            raise argparse.ArgumentTypeError(f"{name!r} is not a namespace: give names, separated by commas")
    return names


def _ip_address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r}: give an IP address, such as 127.0.0.1 or ::") from None


def _whole(least: int, most: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        number = int(text) if text.isascii() and text.isdigit() else least - 1
        if not least <= number <= most:
            raise argparse.ArgumentTypeError(f"{text!r}: give a whole number from {least} to {most}")
        return number

    return parse


def _seconds(least: float, most: float) -> Callable[[str], float]:
    def parse(text: str) -> float:
        try:
            number = float(text)
        except ValueError:
            number = -1.0
        if not least <= number <= most:
            raise argparse.ArgumentTypeError(f"{text!r}: give a number of seconds from {least:g} to {most:g}")
        return number

    return parse


def _one_of(*choices: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text.lower() not in choices:
            raise argparse.ArgumentTypeError(f"{text!r}: give one of {', '.join(choices)}")
        return text.lower()

    return parse


def _yes_or_no(text: str) -> bool:
    return _one_of("yes", "no")(text) == "yes"
