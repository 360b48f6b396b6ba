"""From the informed state of a namespace to its ConfigMap: plan, compare, and at most one write of each kind.

Level-triggered: whatever happened, or was missed, the same state leads to the same ConfigMap. What would withdraw
something from workloads is first asked of the API server itself, so that a watch that lags, or an operator that is
still starting, withdraws nothing by mistake. What somebody else changes is put back, ever less often if he goes on.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from http import HTTPStatus
from typing import Any, Protocol

from .cluster import CONFIG_MAP, ApiError, ConfigMap
from .informed import Informed, policy_of
from .objects import Policy
from .plan import Plan, holds, key_of, plan
from .repairs import Repairs
from .verdicts import Undelivered, Verdict

__all__ = ["Reconciler"]

_log = logging.getLogger(__name__)

Json = dict[str, Any]


class ConfigMapApi(Protocol):
    """What of the cluster is needed here."""

    async def policies(self, namespace: str) -> list[Json]:
        """The policies of a namespace, from the server itself."""

    async def apply_config_map(self, namespace: str, data: Mapping[str, str]) -> Json:
        """Server-side apply of our fields."""

    async def drop_config_map_keys(self, namespace: str, data: list[str], binary: list[str]) -> Json:
        """Remove others' keys."""

    async def delete_config_map(self, config_map: ConfigMap) -> None:
        """Delete it as it was seen."""


class Reconciler:
    """Keeps each namespace's ConfigMap as its policies want it.

    Args:
        informed: What is known; verdicts and what was written go back into it.
        api: Where ConfigMaps are written.
        judged: Told a namespace when the verdicts on its policies have changed.
        written: Told what kind of write was done: `apply`, `drop` or `delete`.
        repairs: How often to answer others' changes.
    """

    def __init__(
        self,
        informed: Informed,
        api: ConfigMapApi,
        *,
        judged: Callable[[str], None],
        written: Callable[[str], None],
        repairs: Repairs | None = None,
    ) -> None:
        self._informed = informed
        self._api = api
        self._judged = judged
        self._written = written
        self._repairs = repairs or Repairs()

    async def reconcile(self, namespace: str) -> float | None:
        """Make the namespace's ConfigMap what it shall be.

        Returns:
            Seconds after which to do it again, since somebody's change is not put back yet; or None.

        Raises:
            ApiError: The API server refused or could not be reached; nothing was withdrawn.
        """
        config_map = self._informed.config_map(namespace)
        policies = self._informed.policies_of(namespace)
        if config_map is not None and not _is_ours(config_map, policies):
            self._leave_alone(namespace)
            return None
        delivered = config_map.data if config_map else {}
        wanted = plan(policies, delivered)
        pause = self._repairs.pause(namespace, policies)
        if pause and _differs(config_map, wanted):
            self._judge(namespace, policies, wanted.verdicts)
            return pause
        if delivered.keys() - wanted.data.keys():
            policies = [policy_of(body) for body in await self._api.policies(namespace)]
            wanted = plan(policies, delivered)
        try:
            await self._write(namespace, config_map, policies, wanted)
        except ApiError as error:
            if error.status != HTTPStatus.NOT_FOUND and not error.namespace_is_ending:
                if error.is_refusal:
                    self._judge(namespace, policies, _refused(policies, wanted, delivered, error))
                raise
            _log.debug("namespace %s is ending: nothing to deliver there", namespace)
            return None
        self._judge(namespace, policies, wanted.verdicts)
        return None

    async def _write(
        self, namespace: str, config_map: ConfigMap | None, policies: list[Policy], wanted: Plan
    ) -> None:
        """Write what differs; one of many repairs in a row is told by who makes them necessary, once."""
        if not _differs(config_map, wanted):
            self._repairs.fits(namespace, policies, written=False)
            return
        follows = self._repairs.follows(namespace, policies)
        await self._write_wanted(namespace, config_map, wanted, logging.DEBUG if follows else logging.INFO)
        pause = self._repairs.fits(namespace, policies, written=True)
        if follows:
            _log.warning(
                "%s keeps changing configmap %s/%s: it was put back, and next in %.0f s at the earliest",
                (config_map and config_map.changed_by) or "somebody",
                namespace,
                CONFIG_MAP,
                pause,
            )

    async def _write_wanted(
        self, namespace: str, config_map: ConfigMap | None, wanted: Plan, level: int
    ) -> None:
        if not wanted.data:
            if config_map is not None:
                await self._api.delete_config_map(config_map)
                self._informed.forget_config_map(namespace)
                self._tell(level, "delete", namespace, "its last policy is gone")
            return
        if config_map is not None and config_map.immutable:
            await self._api.delete_config_map(config_map)
            self._informed.forget_config_map(namespace)
            self._tell(level, "delete", namespace, "somebody made it immutable; it is written anew")
            config_map = None
        if config_map is None or not config_map.labelled or _lacks(config_map, wanted):
            try:
                await self._apply(namespace, wanted, level)
            except ApiError as error:
                if error.status != HTTPStatus.UNPROCESSABLE_ENTITY or config_map is None:
                    raise
                await self._drop_foreign(namespace, wanted, level)  # what others put in may leave no room
                await self._apply(namespace, wanted, level)
        await self._drop_foreign(namespace, wanted, level)

    async def _apply(self, namespace: str, wanted: Plan, level: int) -> None:
        self._informed.learn_config_map(await self._api.apply_config_map(namespace, wanted.data))
        self._tell(level, "apply", namespace, f"{len(wanted.data)} policies")

    async def _drop_foreign(self, namespace: str, wanted: Plan, level: int) -> None:
        config_map = self._informed.config_map(namespace)
        if config_map is None:
            return
        foreign, binary = sorted(config_map.data.keys() - wanted.data.keys()), list(config_map.foreign_binary)
        if foreign or binary:
            self._informed.learn_config_map(await self._api.drop_config_map_keys(namespace, foreign, binary))
            why = f"keys that no policy of this namespace has: {foreign + binary}"
            self._tell(level, "drop", namespace, why)

    def _tell(self, level: int, kind: str, namespace: str, why: str) -> None:
        self._written(kind)
        _log.log(level, "%s of configmap %s/%s: %s", kind, namespace, CONFIG_MAP, why)

    def _judge(self, namespace: str, policies: list[Policy], verdicts: Mapping[str, Verdict]) -> bool:
        news = self._informed.learn_verdicts(policies, verdicts)
        if news:
            self._judged(namespace)
        return news

    def _leave_alone(self, namespace: str) -> None:
        policies = self._informed.policies_of(namespace)
        foreign = Undelivered(
            "ConfigMapForeign",
            f"configmap {CONFIG_MAP} exists without a sign that the operator made it (its label, its field manager, "
            "a document of one of these policies), so it is left alone: delete it, and the policies are delivered",
        )
        verdicts = {
            name: replace(each, undelivered=foreign if each.accepted else None)
            for name, each in plan(policies, {}).verdicts.items()
        }
        if self._judge(namespace, policies, verdicts):
            _log.warning("namespace %s: %s", namespace, foreign.message)


def _refused(
    policies: list[Policy], wanted: Plan, delivered: Mapping[str, str], error: ApiError
) -> dict[str, Verdict]:
    """The plan's verdicts, where what is not delivered yet cannot be."""
    reason = Undelivered("WriteRefused", f"configmap {CONFIG_MAP} cannot be written: {error}")
    verdicts = dict(wanted.verdicts)
    for key in (key_of(policy) for policy in policies):
        verdict = verdicts[key.removesuffix(".json")]
        if verdict.accepted and not verdict.undelivered and delivered.get(key) != wanted.data.get(key):
            verdicts[key.removesuffix(".json")] = replace(verdict, undelivered=reason)
    return verdicts


def _is_ours(config_map: ConfigMap, policies: list[Policy]) -> bool:
    """Whether the operator made it; what it delivered tells so even where all other signs were wiped off."""
    return config_map.ours or any(holds(config_map.data, policy) for policy in policies)


def _differs(config_map: ConfigMap | None, wanted: Plan) -> bool:
    """Whether there is anything to write."""
    if config_map is None or not wanted.data:
        return (config_map is None) == bool(wanted.data)
    sealed_or_bare = config_map.immutable or not config_map.labelled
    return sealed_or_bare or bool(config_map.foreign_binary) or config_map.data != wanted.data


def _lacks(config_map: ConfigMap, wanted: Plan) -> bool:
    return any(config_map.data.get(key) != value for key, value in wanted.data.items())
