"""`make demo`, as a stranger runs it: the whole story, Ctrl-C at various moments, and what is left afterwards."""

import re
import signal
import xml.etree.ElementTree as ET
from pathlib import Path

import httpx
import pytest

from dev.demo.recording import Recording
from tests.e2e.demo.running import RunningDemo

SEEN = [
    "✓ the operator runs as a pod",
    "✓ the shop is open",
    "Closed   0/3",
    "✓ the circuit is open in all three pods",
    "Open    3/3",
    "✓ the fallback takes under a millisecond",
    "✓ without a breaker all of",
    "condition met",
    "✓ UPDATED 0/3 → 3/3",
    "✓ no pod was restarted, and no circuit was closed by the edit",
    "✓ the last of the three pods rejects every call",
    "ForcedOpen   3/3",
    "✓ the last of the three pods judges for itself again",
    "HalfOpen   0/3",
    "✓ closed",
    "✓ nothing of the release is left",
    "✓ by their own metrics, all three circuits are open",
    "✓ payments mends, and all three are closed",
    "✓ every step was seen",
]
"""In this order, among other lines."""


def test_every_step_is_seen_and_it_goes_on_running_until_ctrl_c(tmp_path: Path) -> None:
    with RunningDemo(tmp_path, KEEP="1") as demo:
        demo.said("it all goes on running until Ctrl-C", within=240)
        metrics = httpx.get(re.sub(r".*(http\S+/metrics).*", r"\1", demo.said(":9464/metrics", within=5)))
        demo.signal(signal.SIGINT)

        assert demo.exit_code() == 0, demo.output

    position = 0
    for text in SEEN:
        position = demo.output.find(text, position)
        assert position >= 0, f"{text!r} is not said, or too early, in:\n{demo.output}"
    assert 'policy="shop/payments"' in metrics.text
    assert demo.processes() == []
    assert demo.files() == {"logs", "recording.json", "timeline.svg", "timeline.png"}
    assert len(Recording.load(demo.folder / "recording.json").pods) == 3
    assert ET.parse(demo.folder / "timeline.svg").getroot().tag.endswith("svg")
    assert list(demo.folder.glob("logs/pods/shop/checkout-*/checkout.log"))


@pytest.mark.parametrize(
    ("moment", "number"),
    [
        ("starting etcd", signal.SIGINT),
        ("starting the local node", signal.SIGINT),
        ("$ helm install", signal.SIGTERM),
    ],
)
def test_interrupted_it_leaves_nothing(tmp_path: Path, moment: str, number: signal.Signals) -> None:
    with RunningDemo(tmp_path) as demo:
        demo.said(moment, within=60)
        demo.signal(number)

        assert demo.exit_code() == 130, demo.output

    assert demo.lines[-1].endswith("interrupted, and everything stopped")
    assert "Traceback" not in demo.output
    assert demo.processes() == []
    assert demo.files() == {"logs"}


def test_an_unknown_context_is_named_with_the_remedy(tmp_path: Path) -> None:
    with RunningDemo(tmp_path, KUBE_CONTEXT="nowhere") as demo:
        assert demo.exit_code() == 1

    assert "KUBE_CONTEXT=nowhere" in demo.output
    assert "kubectl config get-contexts" in demo.output
    assert demo.files() == {"logs"}
