"""A made-up run of the demo, the same every time: 100 seconds, three pods, every kind of event."""

import random

from dev.demo.recording import CONTROL, Call, Event, Recording, Sample

BEGIN = 1_800_000_000.0
PODS = ("checkout-6d5f7c9b4-2xkqz", "checkout-6d5f7c9b4-8vnlp", "checkout-6d5f7c9b4-wq7rt")
TIMES = {"well": 15.0, "hang": 1000.0, "fail": 2.0}

EVENTS = [
    (9, "payments hangs", "hang"),
    (18, "payments fails", "fail"),
    (27, "openDuration 4s → 8s", None),
    (38, "mode ForceOpen", None),
    (43, "mode Enforce", None),
    (50, "payments mends", "well"),
    (72, "helm uninstall", None),
    (78, "payments fails again", "fail"),
    (88, "payments mends", "well"),
]


def sample_run() -> Recording:
    """Make the recording."""
    dice = random.Random(7)
    run = Recording(events=[Event(BEGIN + at, label, payments) for at, label, payments in EVENTS])
    totals = {pod: {"success": 0.0, "failure": 0.0, "rejected": 0.0} for pod in PODS}
    for tick in range(400):
        second = tick / 4
        for row, pod in enumerate(PODS):
            state = _state(second - row * 0.3)
            for _ in range(dice.choice((2, 3))):
                outcome, milliseconds = _outcome(state, _behaviour(second), dice)
                totals[pod][outcome] += 1
                word = {"success": "charged", "failure": "failed", "rejected": "later"}[outcome]
                run.calls.append(
                    Call(BEGIN + second + dice.random() / 4, pod, word, milliseconds + 2, milliseconds)
                )
            run.samples.append(Sample(BEGIN + second + row * 0.01, pod, state, dict(totals[pod])))
        behaviour = _behaviour(second)
        run.calls.append(
            Call(
                BEGIN + second,
                CONTROL,
                "charged" if behaviour == "well" else "failed",
                TIMES[behaviour] * dice.uniform(1, 1.2),
                None,
            )
        )
    return run


def _behaviour(second: float) -> str:
    return next((payments for at, _, payments in reversed(EVENTS) if payments and at <= second), "well")


def _state(second: float) -> str:
    stages = [
        (12, "open"),
        (16, "half_open"),
        (17, "open"),
        (38, "forced_open"),
        (43, "open"),
        (55, "half_open"),
        (58, "closed"),
        (81, "open"),
        (92, "half_open"),
        (95, "closed"),
    ]
    return next((state for at, state in reversed(stages) if at <= second), "closed")


def _outcome(state: str, behaviour: str, dice: random.Random) -> tuple[str, float]:
    if state in {"open", "forced_open"}:
        return "rejected", dice.uniform(0.15, 0.5)
    return ("success" if behaviour == "well" else "failure"), TIMES[behaviour] * dice.uniform(1, 1.3)
