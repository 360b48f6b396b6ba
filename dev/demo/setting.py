"""Before the story and after it: installing the chart and the shop, and leaving everything running on request."""

import contextlib
import shlex
import signal

from .narrator import Narrator
from .places import RELEASE_NAMESPACE, Place
from .shop import APP_PORT, METRICS_PORT, NAMESPACE
from .stage import Stage

__all__ = ["install_chart", "install_shop", "keep_running"]

OBSERVE_OFTEN = "--set scrape.interval=1 --set scrape.timeout=1"
"""The default suits a cluster; a story of two minutes is told in seconds."""


def install_chart(place: Place, narrator: Narrator) -> None:
    """Install the operator with the real chart, and wait until its readiness probe succeeds."""
    line = f"install switchgear charts/switchgear -n {RELEASE_NAMESPACE} --create-namespace --wait"
    line += f" --timeout={place.start_within}s {OBSERVE_OFTEN} {place.chart_values}"
    narrator.command(f"helm {line}")
    place.helm(*shlex.split(line))
    _show(place, narrator, f"get pods -n {RELEASE_NAMESPACE}")
    narrator.seen("the operator runs as a pod, with the chart's service account, roles and probes")


def install_shop(place: Place, narrator: Narrator) -> None:
    """Apply the shop and the policy, and wait until every Deployment is available."""
    _show(place, narrator, f"apply -k {place.shop}")
    _show(place, narrator, "apply -f examples/shop/policy.yaml")
    within = f"--timeout={place.start_within}s"
    _show(place, narrator, f"wait --for=condition=Available deployment --all -n {NAMESPACE} {within}")
    narrator.seen("the shop is open: load → checkout × 3 → payments")


def keep_running(stage: Stage, *, uninstalled: bool) -> None:
    """Say how to reach everything, and wait to be interrupted; first install the chart again if the story removed it."""
    narrator, place, shop = stage.narrator, stage.place, stage.shop
    narrator.note("")
    if uninstalled:
        narrator.say("KEEP=1: the chart is installed again, and the operator takes over what it finds")
        install_chart(place, narrator)
        stage.see_policy(30, STATE="Closed", OPEN="0/3", UPDATED="3/3")
    narrator.say("KEEP=1: it all goes on running until Ctrl-C. In another terminal:")
    payments, checkout = shop.payments, shop.checkouts[0]
    for line in (
        f"export KUBECONFIG={place.kubectl.kubeconfig} PATH={place.kubectl.program.parent}:$PATH",
        f"kubectl get cbp -n {NAMESPACE} --watch",
        f"kubectl edit cbp payments -n {NAMESPACE}",
        f"kubectl describe cbp payments -n {NAMESPACE}",
        f"kubectl logs -n {NAMESPACE} deployment/checkout",
        f"curl -X PUT -d hang {place.pod_url(payments, APP_PORT)}/behaviour    # or fail, or well",
        f"curl {place.pod_url(checkout, METRICS_PORT)}/metrics",
    ):
        narrator.note(f"  {line}")
    with contextlib.suppress(KeyboardInterrupt):
        signal.pause()


def _show(place: Place, narrator: Narrator, line: str) -> None:
    narrator.command(f"kubectl {line}")
    narrator.output(place.kubectl(*shlex.split(line)))
