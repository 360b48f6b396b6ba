"""What the steps of the story act on, and the ways in which they look."""

import shlex
import time
from collections.abc import Callable
from dataclasses import dataclass

from .narrator import Narrator
from .places import Place
from .recorder import Recorder
from .seeing import see
from .shop import Reading, Shop
from .watch import PolicyWatch, Row, columns

__all__ = ["GET_POLICY", "Stage"]

GET_POLICY = "get cbp payments -n shop"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """`within` is always seconds, as they suit the embedded place; a user's cluster is given more."""

    narrator: Narrator
    place: Place
    shop: Shop
    recorder: Recorder

    def kubectl(self, line: str) -> None:
        """Run kubectl; show the command and what it printed."""
        self.narrator.command(f"kubectl {line}")
        self.narrator.output(self.place.kubectl(*shlex.split(line)))

    def helm(self, line: str) -> None:
        """Run helm; show the command and what it printed."""
        self.narrator.command(f"helm {line}")
        self.narrator.output(self.place.helm(*shlex.split(line)))

    def behave(self, behaviour: str, label: str) -> float:
        """Change what payments does, and return when."""
        at = self.recorder.mark(label, behaviour)
        self.shop.behave(behaviour)
        return at

    def closings(self) -> dict[str, float]:
        """How many times the circuit has closed so far, by pod."""
        return {reading.pod: reading.closings for reading in self.recorder.latest()}

    def see_policy(self, within: float, **expected: str) -> None:
        """Wait until `kubectl get cbp` shows these columns, and show the table that did."""
        table = ""

        def look() -> str | None:
            nonlocal table
            table = self.place.kubectl(*GET_POLICY.split())
            header, line = table.splitlines()[:2]
            shown = columns(header, line)
            return table if all(shown.get(name) == value for name, value in expected.items()) else None

        see(_words(expected), look, within=within * self.place.patience, instead=lambda: f"\n{table}")
        self.narrator.command(f"kubectl {GET_POLICY}")
        self.narrator.output(table)

    def see_row(self, watch: PolicyWatch, since: float, within: float, **expected: str) -> Row:
        """Wait until the watch shows these columns in a row printed at `since` or later."""

        def look() -> Row | None:
            return next((row for row in watch.rows(since) if row.shows(**expected)), None)

        def instead() -> str:
            return "\n".join(["", watch.header, *(row.line for row in watch.rows(since))])

        return see(_words(expected), look, within=within * self.place.patience, instead=instead)

    def see_pods(self, what: str, within: float, holds: Callable[[Reading], bool]) -> float:
        """Wait until every checkout pod's own metrics say so, and return when they did."""

        def look() -> float | None:
            found = self.recorder.latest()
            everywhere = len(found) == len(self.shop.checkouts) and all(map(holds, found))
            return time.time() if everywhere else None

        def instead() -> str:
            found = self.recorder.latest()
            return (
                "; ".join(f"{each.pod} is {each.state}, generation {each.generation}" for each in found)
                or "no pod answers"
            )

        promise = f"{what}, by the metrics of every checkout pod"
        return see(promise, look, within=within * self.place.patience, instead=instead)


def _words(expected: dict[str, str]) -> str:
    return "kubectl get cbp shows " + ", ".join(f"{name} {value}" for name, value in expected.items())
