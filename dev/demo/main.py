"""`python -m dev demo`: the whole story, from nothing to the picture; exit code 0 only if every step was seen.

Environment: KEEP=1 leaves everything running until Ctrl-C; KUBE_CONTEXT=name uses that cluster instead of the embedded
one, and IMAGE=repository:tag the image that it can pull.
"""

import argparse
import os
from contextlib import AbstractContextManager, closing
from importlib.metadata import version
from pathlib import Path

import httpx

from dev.controlplane import MissingComponentError, StartError

from .folder import Folder, FolderInUseError, build_folder
from .interrupts import ignore_interrupts, obey_interrupts
from .narrator import Narrator
from .places import Place, PlaceError, embedded_place
from .recorder import Recorder
from .recording import Recording
from .seeing import NotSeenError
from .setting import install_chart, install_shop, keep_running
from .shop import Shop
from .stage import Stage
from .story import STEPS
from .tools import HelmError, KubectlError
from .user_cluster import user_cluster

__all__ = ["main"]

NEXT = "Next: KEEP=1 make demo, to play with it; examples/shop, to copy; README.md, for an app of yours."
PROBLEMS = (
    FolderInUseError,
    HelmError,
    KubectlError,
    MissingComponentError,
    NotSeenError,
    PlaceError,
    StartError,
    httpx.HTTPError,
)


def main(arguments: list[str]) -> int:
    """Tell the story and return the exit code."""
    options = _options(arguments)
    obey_interrupts()
    narrator = Narrator()
    narrator.title("switchgear: one policy travels the whole loop, on a real Kubernetes API")
    try:
        with build_folder(options.folder) as folder:
            return _run(folder, narrator)
    except KeyboardInterrupt:
        narrator.say("interrupted, and everything stopped")
        return 130
    except PROBLEMS as problem:
        narrator.failed(str(problem))
        return 1


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m dev demo",
        description="Tell and see the whole story. Exit code 0: every step was seen; 1: one was not; 130: interrupted.",
        epilog="Environment: KEEP=1 leaves everything running until Ctrl-C. KUBE_CONTEXT=name uses the cluster of that "
        "context, and IMAGE=repository:tag the image, made by `make image`, that this cluster can pull.",
    )
    parser.add_argument(
        "--folder",
        type=Path,
        default=Path("build", "demo"),
        help="where recording, picture and logs go, and temporary files meanwhile (default: %(default)s)",
    )
    return parser.parse_args(arguments)


def _run(folder: Folder, narrator: Narrator) -> int:
    narrator.step(0, "Getting ready")
    with _place(folder, narrator) as place:
        try:
            install_chart(place, narrator)
            install_shop(place, narrator)
            with closing(Shop(place.kubectl, place.pod_url)) as shop, Recorder(shop) as recorder:
                stage = Stage(narrator=narrator, place=place, shop=shop, recorder=recorder)
                seen = _tell(stage, folder)
                _draw(recorder.so_far(), folder, narrator)
                if seen:
                    narrator.note(NEXT)
                if os.environ.get("KEEP") == "1":
                    keep_running(stage, uninstalled=seen)
                return 0 if seen else 1
        except PROBLEMS as problem:
            _report(problem, folder, narrator)
            return 1
        finally:
            ignore_interrupts()


def _tell(stage: Stage, folder: Folder) -> bool:
    try:
        for number, (step, heading) in enumerate(STEPS, start=1):
            stage.narrator.step(number, heading)
            step(stage)
    except PROBLEMS as problem:
        _report(problem, folder, stage.narrator)
        return False
    stage.narrator.note("")
    stage.narrator.seen(f"every step was seen, in {stage.narrator.elapsed:.0f} s")
    return True


def _place(folder: Folder, narrator: Narrator) -> AbstractContextManager[Place]:
    context = os.environ.get("KUBE_CONTEXT")
    if context:
        image = os.environ.get("IMAGE") or f"switchgear-operator:{version('switchgear')}"
        return user_cluster(context, image, narrator, folder.path)
    return embedded_place(narrator, folder.logs)


def _draw(recording: Recording, folder: Folder, narrator: Narrator) -> None:
    if not recording.samples:
        return
    from dev.timeline import draw  # noqa: PLC0415  # matplotlib is slow to import, and is told its cache folder first

    recording.save(folder.path / "recording.json")
    draw(recording, folder.path / "timeline.svg", folder.path / "timeline.png")
    narrator.say(f"the picture of this run: {folder.path}/timeline.svg, and .png")


def _report(problem: Exception, folder: Folder, narrator: Narrator) -> None:
    narrator.failed(str(problem))
    narrator.note(f"logs: {folder.logs}")
