"""Which policy a breaker follows, and which calls share one breaker: pure, and rebuilt whenever the policies change."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from .matching import Endpoint, Matcher, Rule
from .targets import HostTarget, NameTarget

if TYPE_CHECKING:  # the policy module brings json, which a program without policies need not import
    from .policy import PolicyDocument

__all__ = ["NAMES", "URLS", "Home", "Route", "Routes"]

Home = str | Endpoint
"""What a breaker was first asked for by: a name, or where a URL leads."""

NAMES = "names"
"""The group of breakers that code asks for by name."""

URLS = "URLs"
"""The group of breakers for URLs that no policy covers."""


class Route(NamedTuple):
    """Calls with equal routes share one breaker.

    `group` is NAMES, URLS, or the policy that covers a URL; the number of breakers is bounded for each group.
    """

    group: str
    key: Home


class Routes:
    """The policies in force, arranged for looking up."""

    def __init__(self, documents: Iterable["PolicyDocument"] = ()) -> None:
        by_policy = {document.policy: document for document in documents}
        self.documents = tuple(by_policy[policy] for policy in sorted(by_policy))
        self._names: dict[str, PolicyDocument] = {}
        for document in self.documents:
            if isinstance(document.target, NameTarget):
                self._names.setdefault(document.target.name, document)
        self._urls = Matcher(Rule(d.policy, d.target, d) for d in self.documents)

    def policy_of(self, home: Home) -> "PolicyDocument | None":
        """The policy that a breaker of this home follows, or None."""
        if isinstance(home, str):
            return self._names.get(home)
        rule = self._urls.match(home)
        return None if rule is None else rule.value

    def route_of(self, home: Home) -> Route:
        """One breaker per name, per policy of a URL, per host of a wildcard policy, else per host and port."""
        if isinstance(home, str):
            return Route(NAMES, home)
        document = self.policy_of(home)
        if document is None:
            return Route(URLS, home)
        return Route(document.policy, home.host if _is_wildcard(document) else "")

    def name_of(self, home: Home) -> str:
        """What to call a new breaker: its name, the target that covers it, or host and port."""
        if isinstance(home, str):
            return home
        document = self.policy_of(home)
        if document is None:
            return str(home)
        return home.host if _is_wildcard(document) else str(document.target)


def _is_wildcard(document: "PolicyDocument") -> bool:
    return isinstance(document.target, HostTarget) and document.target.is_wildcard
