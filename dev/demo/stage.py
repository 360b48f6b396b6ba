"""What the steps of the story act on, and the ways in which they look."""

from collections.abc import Callable
from dataclasses import dataclass

from .narrator import Narrator
from .places import Place
from .recorder import Recorder
from .seeing import see
from .shop import NAMESPACE, Reading, Shop
from .watch import PolicyWatch, Row, columns

__all__ = ["GET_POLICY", "Stage"]

GET_POLICY = ("get", "cbp", "payments", "-n", NAMESPACE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """What the steps act on and look at."""

    narrator: Narrator
    place: Place
    shop: Shop
    recorder: Recorder
    watch: PolicyWatch

    def kubectl(self, *arguments: str) -> str:
        """Run kubectl, showing the command and what it printed; return the latter."""
        self.narrator.command(("kubectl", *arguments))
        output = self.place.kubectl(*arguments)
        self.narrator.output(output)
        return output

    def see_policy(self, within: float, **expected: str) -> None:
        """Wait until `kubectl get cbp` shows these columns, and show the table that did."""
        self.narrator.command(("kubectl", *GET_POLICY))
        table = ""

        def look() -> str | None:
            nonlocal table
            table = self.place.kubectl(*GET_POLICY)
            header, line = table.splitlines()[:2]
            shown = columns(header, line)
            return table if all(shown.get(name) == value for name, value in expected.items()) else None

        self.narrator.output(
            see(_words(expected), look, within=within * self.place.patience, instead=lambda: f"\n{table}")
        )

    def see_row(self, since: float, within: float, **expected: str) -> Row:
        """Wait until the watch shows these columns in a row printed at `since` or later."""

        def look() -> Row | None:
            return next((row for row in self.watch.rows(since) if row.shows(**expected)), None)

        def instead() -> str:
            return "\n".join(["", self.watch.header, *(row.line for row in self.watch.rows(since))])

        return see(_words(expected), look, within=within * self.place.patience, instead=instead)

    def see_pods(self, what: str, within: float, holds: Callable[[Reading], bool]) -> None:
        """Wait until every checkout pod's own metrics say so."""

        def look() -> bool | None:
            found = self.recorder.latest()
            return (len(found) == len(self.shop.checkouts) and all(map(holds, found))) or None

        def instead() -> str:
            states = (
                f"{each.pod} is {each.state}, generation {each.generation}" for each in self.recorder.latest()
            )
            return "; ".join(states) or "no pod answers"

        see(
            f"{what}, in the metrics of every checkout pod",
            look,
            within=within * self.place.patience,
            instead=instead,
        )

    def behave(self, behaviour: str, label: str) -> float:
        """Change what payments does, and return when."""
        self.shop.behave(behaviour)
        return self.recorder.mark(label, behaviour)


def _words(expected: dict[str, str]) -> str:
    return "kubectl get cbp shows " + ", ".join(f"{name} {value}" for name, value in expected.items())
