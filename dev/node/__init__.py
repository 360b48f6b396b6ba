"""A small local node: it runs pods as processes of this machine, so that charts, RBAC, probes and volumes are tried for real.

What it does as a kubelet does: binding, pod addresses, environment, arguments, service account tokens, ConfigMap, downward
API, projected and emptyDir volumes, probes, restarts with back-off, termination, pod status. What it cannot do, since a
process here shares the machine's file system and network:

* no images: the `command` runs with this machine's programs, `python` being this virtual environment's; an image may be
  given a folder, which then is on the container's PYTHONPATH;
* no mounts: paths are rewritten in environment values and arguments (`environment.py` says how);
* no network of its own: each pod has an address 127.0.N.M; `guest/sitecustomize.py` makes Python processes listen on it and
  find Services by name. Other programs listen on the address that `status.podIP` tells them;
* no limits and no security context: they are checked by the API server's admission, not enforced here.
"""

from dev.node.api import ApiError
from dev.node.containers import Backoff
from dev.node.local import LocalNode

__all__ = ["ApiError", "Backoff", "LocalNode"]
