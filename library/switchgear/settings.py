"""What `configure()` is told, by arguments and by the environment: checked once, each bad value named."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from ipaddress import ip_address

from .identity import check_namespace

__all__ = ["DEFAULT_POLICY_DIR", "Path", "Settings", "check_arguments", "read_environment"]

DEFAULT_POLICY_DIR = "/etc/switchgear"
"""Where the ConfigMap `switchgear-policies` is mounted unless something else is said."""

_LABEL = r"[A-Za-z0-9_]([-A-Za-z0-9_]{0,61}[A-Za-z0-9_])?"
_HOST_NAME = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(\.{_LABEL})*\.?")

Path = str | os.PathLike[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Each field as in `configure()`; None is not given."""

    policy_dir: str | None = None
    metrics_port: int | None = None
    metrics_address: str | None = None
    state_dir: str | None = None
    namespace: str | None = None
    poll_interval: float | None = None

    def over(self, other: "Settings") -> "Settings":
        """These settings, with those of `other` where these are not given."""
        given = {f.name: getattr(self, f.name) for f in fields(self) if getattr(self, f.name) is not None}
        return replace(other, **given)


def check_arguments(
    *,
    policy_dir: Path | None,
    metrics_port: int | None,
    metrics_address: str | None,
    state_dir: Path | None,
    namespace: str | None,
    poll_interval: float | None,
) -> Settings:
    """The arguments of `configure()` as settings.

    Raises:
        ValueError: One cannot be used; the message names it, its value and the remedy.
    """
    if metrics_port is not None:
        _check_port("metrics_port", metrics_port)
    if namespace is not None:
        check_namespace("namespace", namespace)
    if metrics_address is not None:
        _check_address("metrics_address", metrics_address)
    if poll_interval is not None:
        _check_interval(poll_interval)
    return Settings(
        policy_dir=None if policy_dir is None else _directory("policy_dir", policy_dir),
        metrics_port=metrics_port,
        metrics_address=metrics_address,
        state_dir=None if state_dir is None else _directory("state_dir", state_dir),
        namespace=namespace,
        poll_interval=poll_interval,
    )


def read_environment(environ: Mapping[str, str]) -> Settings:
    """The settings that environment variables give; an empty variable is as good as none.

    Raises:
        ValueError: A variable cannot be used; the message names it, its value and the remedy.
    """
    policy_dir = environ.get("SWITCHGEAR_POLICY_DIR")
    state_dir = environ.get("SWITCHGEAR_STATE_DIR")
    port = environ.get("SWITCHGEAR_METRICS_PORT")
    address = environ.get("SWITCHGEAR_METRICS_ADDRESS")
    if address:
        _check_address("SWITCHGEAR_METRICS_ADDRESS", address)
    return Settings(
        policy_dir=_directory("SWITCHGEAR_POLICY_DIR", policy_dir) if policy_dir else None,
        metrics_port=_port_in_text("SWITCHGEAR_METRICS_PORT", port) if port else None,
        metrics_address=address or None,
        state_dir=_directory("SWITCHGEAR_STATE_DIR", state_dir) if state_dir else None,
    )


def _directory(source: str, value: object) -> str:
    try:
        path = os.fspath(value)  # type: ignore[call-overload]  # whether it is a path is what this finds out
    except TypeError:
        path = None
    if not isinstance(path, str) or not path or "\0" in path:
        raise ValueError(f"{source} is {value!r}: give the path of a directory")
    path = os.path.abspath(path)  # noqa: PTH100  # paths are texts here
    if os.path.exists(path) and not os.path.isdir(path):  # noqa: PTH110, PTH112  # paths are texts here
        raise ValueError(f"{source} is {value!r}, which is not a directory: give the path of a directory")
    return path


def _port_in_text(source: str, text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 5):
        raise ValueError(f"{source} is {text!r}: give a port from 1 to 65535, or 0 for any free one")
    _check_port(source, int(text))
    return int(text)


def _check_port(source: str, value: object) -> None:
    whole = isinstance(value, int) and not isinstance(value, bool)
    if not whole or not 0 <= value <= 65535:  # type: ignore[operator]  # it is an int here
        raise ValueError(f"{source} is {value!r}: give a port from 1 to 65535, or 0 for any free one")


def _check_address(source: str, value: object) -> None:
    if not isinstance(value, str) or not (not value or _HOST_NAME.fullmatch(value) or _is_ip_address(value)):
        raise ValueError(
            f"{source} is {value!r}: give an IP address or a host name, or none for all addresses"
        )


def _is_ip_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _check_interval(value: object) -> None:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not 0.01 <= value <= 3600:  # type: ignore[operator]  # it is a number here
        raise ValueError(f"poll_interval is {value!r}: give seconds from 0.01 to 3600")
