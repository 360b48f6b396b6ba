"""`python -m dev demo`: the whole story, from nothing to the picture; exit code 0 only if every step was seen.

Environment: KEEP=1 leaves everything running until Ctrl-C; KUBE_CONTEXT=name uses that cluster instead of the embedded
one, and IMAGE=repository:tag the image that it can pull.
"""

import os
import shutil
import signal
import sys
import tempfile
from contextlib import AbstractContextManager, ExitStack, closing
from pathlib import Path

from dev.controlplane import MissingComponentError, StartError
from dev.timeline import draw

from .narrator import Narrator
from .places import ROOT, Place, PlaceError, embedded_place, user_cluster
from .recorder import Recorder
from .recording import Recording
from .seeing import NotSeenError
from .setting import install_chart, install_shop, keep_running
from .shop import Shop
from .stage import GET_POLICY, Stage
from .story import STEPS
from .tools import HelmError, KubectlError
from .watch import PolicyWatch

__all__ = ["main"]

BUILD = ROOT / "build" / "demo"
LOGS = BUILD / "logs"
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
PROBLEMS = (NotSeenError, PlaceError, KubectlError, HelmError, MissingComponentError, StartError)


def main(arguments: list[str]) -> int:
    """Tell the story and return the exit code."""
    if arguments:
        print(
            f"unknown arguments {' '.join(arguments)}: the demo is steered by KEEP, KUBE_CONTEXT and IMAGE",
            file=sys.stderr,
        )
        return 2
    _interrupt_once()
    narrator = Narrator()
    narrator.title("switchgear: one policy travels the whole loop, on a real Kubernetes API")
    try:
        _stay_in(BUILD)
        return _run(narrator)
    except KeyboardInterrupt:
        narrator.say("interrupted, and everything stopped")
        return 130
    except PROBLEMS as problem:
        narrator.failed(str(problem))
        return 1
    finally:
        shutil.rmtree(BUILD / "tmp", ignore_errors=True)


def _run(narrator: Narrator) -> int:
    narrator.step(0, "Getting ready")
    with _place(narrator) as place:
        try:
            install_chart(place, narrator)
            install_shop(place, narrator)
            return _tell(place, narrator)
        except PROBLEMS as problem:
            narrator.failed(str(problem))
            narrator.note(f"logs: {LOGS.relative_to(ROOT)}/")
            return 1
        finally:
            _interrupt_no_more()


def _tell(place: Place, narrator: Narrator) -> int:
    with ExitStack() as stack:
        shop = stack.enter_context(closing(Shop(place.kubectl, place.pod_url)))
        recorder = stack.enter_context(Recorder(shop))
        watch = stack.enter_context(PolicyWatch(place.kubectl, *GET_POLICY))
        stage = Stage(narrator=narrator, place=place, shop=shop, recorder=recorder, watch=watch)
        code = 0
        try:
            for number, step in enumerate(STEPS, start=1):
                narrator.step(number, (step.__doc__ or "").rstrip("."))
                step(stage)
            _conclude(narrator)
        except NotSeenError as problem:
            narrator.failed(str(problem))
            narrator.note(f"logs: {LOGS.relative_to(ROOT)}/")
            code = 1
        _draw(recorder.recording, narrator)
        if os.environ.get("KEEP") == "1":
            keep_running(stage)
        return code


def _place(narrator: Narrator) -> AbstractContextManager[Place]:
    context = os.environ.get("KUBE_CONTEXT")
    if context:
        return user_cluster(context, os.environ.get("IMAGE"), narrator, BUILD)
    return embedded_place(narrator, LOGS)


def _draw(recording: Recording, narrator: Narrator) -> None:
    if recording.samples:
        recording.save(BUILD / "recording.json")
        draw(recording, BUILD / "timeline.svg", BUILD / "timeline.png")
        narrator.say(f"the picture of this run: {BUILD.relative_to(ROOT)}/timeline.svg, and timeline.png")


def _conclude(narrator: Narrator) -> None:
    narrator.note("")
    narrator.seen(f"the whole loop, every step of it seen, in {narrator.elapsed:.0f} s")
    narrator.note(
        "Next: KEEP=1 make demo, and play with it; examples/shop, to copy; README.md, for an app of yours."
    )


def _stay_in(folder: Path) -> None:
    """Keep every file of this run, temporary ones too, in the build folder; forget the run before."""
    shutil.rmtree(folder, ignore_errors=True)
    temporary = folder / "tmp"
    for each in (temporary, LOGS):
        each.mkdir(parents=True)
    tempfile.tempdir = os.environ["TMPDIR"] = str(temporary)


def _interrupt_once() -> None:
    """Have Ctrl-C, SIGTERM and SIGHUP end the story in order: the first is obeyed, later ones wait for the end."""

    def interrupt(*_: object) -> None:
        _interrupt_no_more()
        raise KeyboardInterrupt

    for name in SIGNALS:
        signal.signal(name, interrupt)


def _interrupt_no_more() -> None:
    for name in SIGNALS:
        signal.signal(name, signal.SIG_IGN)
