"""Who am I: the namespace and the pod that this process runs in, as far as they can be known."""

import logging
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Identity", "check_namespace", "find_identity"]

PODINFO_DIR = "/etc/switchgear-podinfo"
"""Where the downward API volume is expected, unless SWITCHGEAR_PODINFO_DIR names another place."""

SERVICE_ACCOUNT_DIR = "/var/run/secrets/kubernetes.io/serviceaccount"
"""Where Kubernetes mounts a pod's service account."""

_LARGEST_FILE = 4096
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
_log = logging.getLogger("switchgear")


@dataclass(frozen=True, slots=True)
class Identity:
    """`namespace` and `pod`; each empty where it is unknown."""

    namespace: str = ""
    pod: str = ""


def find_identity(
    environ: Mapping[str, str] = os.environ, service_account_dir: str = SERVICE_ACCOUNT_DIR
) -> Identity:
    """Ask the downward API's files, then the environment, then (for the namespace) the service account.

    A file that holds something else than a name is passed over, with a warning.

    Raises:
        ValueError: SWITCHGEAR_NAMESPACE is not the name of a namespace.
    """
    podinfo = Path(environ.get("SWITCHGEAR_PODINFO_DIR") or PODINFO_DIR)
    declared = environ.get("SWITCHGEAR_NAMESPACE", "")
    if declared:
        check_namespace("SWITCHGEAR_NAMESPACE", declared)
    return Identity(
        namespace=_read(podinfo / "namespace", _LABEL)
        or declared
        or _read(Path(service_account_dir) / "namespace", _LABEL),
        pod=_read(podinfo / "name", _SUBDOMAIN) or environ.get("POD_NAME", ""),
    )


def check_namespace(source: str, value: object) -> None:
    """Refuse what cannot be a namespace; `source` says where the value comes from.

    Raises:
        ValueError: The message names the source, the value and the remedy.
    """
    if not isinstance(value, str) or not _LABEL.fullmatch(value):
        raise ValueError(
            f"{source} is {value!r}: give the name of a namespace (a-z, 0-9 and -, at most 63 characters)"
        )


def _read(path: Path, shape: re.Pattern[str]) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST_FILE)
    except (OSError, ValueError):
        return ""
    text = content.decode("utf-8", errors="replace").strip()
    if shape.fullmatch(text):
        return text
    _log.warning("%s holds %r, which is not a name: passed over", path, text[:100])
    return ""
