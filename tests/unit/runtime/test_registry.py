"""Breakers by name and by URL, and how policies steer them."""

import gc
import os
import threading

import pytest

from switchgear.breaker import CircuitBreaker
from switchgear.config import CircuitConfig, CountWindow, Mode
from switchgear.errors import CircuitOpenError
from switchgear.policy import PolicyDocument
from switchgear.registry import Registry
from switchgear.states import CircuitState
from switchgear.targets import HostTarget, NameTarget, ServiceTarget, Target
from switchgear.transitions import Transition
from tests.unit.runtime.support import document

STRICT = CircuitConfig(consecutive_failures=1, open_duration=60.0)
LENIENT = CircuitConfig(consecutive_failures=50)
FORCED = CircuitConfig(mode=Mode.FORCE_OPEN)


def policy(
    target: Target, name: str = "p", config: CircuitConfig = STRICT, **more: int | str
) -> PolicyDocument:
    uid = str(more.get("uid", "u1"))
    return document(name, target=target, config=config, uid=uid, generation=int(more.get("generation", 1)))


def state_of(breaker: CircuitBreaker) -> CircuitState:
    return breaker.state  # through a call, since mypy would take the state for unchanging


def fail(breaker: CircuitBreaker) -> None:
    breaker.acquire().failure()


@pytest.fixture
def registry() -> Registry:
    return Registry()


class TestByName:
    def test_a_name_has_one_breaker(self, registry: Registry) -> None:
        assert registry.breaker("orders-db") is registry.breaker("orders-db")
        assert registry.breaker("orders-db") is not registry.breaker("other")
        assert registry.breaker("orders-db").name == "orders-db"

    def test_without_policy_and_default_calls_pass_uncounted(self, registry: Registry) -> None:
        breaker = registry.breaker("orders-db")
        for _ in range(100):
            fail(breaker)

        assert state_of(breaker) is CircuitState.DISABLED
        assert breaker.call(lambda: 7) == 7
        assert registry.readings() == []

    def test_a_code_default_steers_until_a_policy_replaces_it_whole_and_its_deletion_restores_it(
        self, registry: Registry
    ) -> None:
        breaker = registry.breaker("orders-db", LENIENT)
        assert (breaker.config, breaker.policy) == (LENIENT, "")

        registry.apply([policy(NameTarget("orders-db"))])
        assert (breaker.config, breaker.policy) == (STRICT, "shop/p")

        registry.apply([])
        assert (breaker.config, breaker.policy) == (LENIENT, "")

    def test_an_object_that_is_held_comes_alive_when_a_policy_for_its_name_arrives(
        self, registry: Registry
    ) -> None:
        breaker = registry.breaker("orders-db")
        registry.apply([policy(NameTarget("orders-db"))])
        fail(breaker)

        assert state_of(breaker) is CircuitState.OPEN
        assert registry.breaker("orders-db") is breaker

    def test_a_default_given_later_counts_and_the_first_one_stays(self, registry: Registry) -> None:
        breaker = registry.breaker("orders-db")
        registry.breaker("orders-db", STRICT)
        registry.breaker("orders-db", LENIENT)

        assert breaker.config is STRICT

    def test_a_default_given_under_a_policy_waits_for_its_deletion(self, registry: Registry) -> None:
        registry.apply([policy(NameTarget("orders-db"))])
        breaker = registry.breaker("orders-db", LENIENT)
        assert breaker.config == STRICT

        registry.apply([])
        assert breaker.config is LENIENT

    def test_a_policy_for_a_service_is_not_found_by_name(self, registry: Registry) -> None:
        registry.apply([policy(ServiceTarget("payments", "shop"), "payments")])

        assert registry.breaker("payments").state is CircuitState.DISABLED

    @pytest.mark.parametrize("name", ["", None, 7, b"x"])
    def test_what_is_no_name_is_refused(self, registry: Registry, name: str) -> None:
        with pytest.raises(TypeError, match="give the breaker's name"):
            registry.breaker(name)

    def test_what_is_no_config_is_refused(self, registry: Registry) -> None:
        with pytest.raises(TypeError, match="give a CircuitConfig"):
            registry.breaker("a", {})  # type: ignore[arg-type]  # on purpose
        registry.breaker("a")
        with pytest.raises(TypeError, match="give a CircuitConfig"):
            registry.breaker("a", {})  # type: ignore[arg-type]  # on purpose


class TestByUrl:
    def test_every_name_of_a_service_leads_to_one_breaker(self, registry: Registry) -> None:
        registry.apply([policy(ServiceTarget("payments", "shop"))])
        breaker = registry.breaker_for("http://payments.shop:8080/pay")

        for url in ("http://payments", "payments.shop.svc:1", "https://PAYMENTS.shop.svc.cluster.local./x?y"):
            assert registry.breaker_for(url) is breaker
        assert (breaker.name, breaker.policy) == ("payments.shop", "shop/p")

    def test_a_wildcard_keeps_one_breaker_per_host(self, registry: Registry) -> None:
        registry.apply([policy(HostTarget("*.stripe.com"))])
        api = registry.breaker_for("https://api.stripe.com/v1")

        assert registry.breaker_for("http://api.stripe.com:9") is api
        assert registry.breaker_for("https://files.stripe.com") is not api
        assert (api.name, api.policy) == ("api.stripe.com", "shop/p")
        assert registry.breaker_for("https://stripe.com").policy == ""

    def test_without_a_policy_there_is_one_per_host_and_port(self, registry: Registry) -> None:
        breaker = registry.breaker_for("http://api.example/a", LENIENT)

        assert registry.breaker_for("http://API.example:80/b") is breaker
        assert registry.breaker_for("https://api.example/") is not breaker
        assert breaker.config is LENIENT

    @pytest.mark.parametrize(
        "url", ["", "http://", "http://[::1", None, b"http://x", object(), "http:///a/b"]
    )
    def test_what_is_no_url_passes_straight_through(self, registry: Registry, url: object) -> None:
        registry.apply([policy(HostTarget("*.example"), config=FORCED)])

        assert registry.breaker_for(url, STRICT).call(lambda: 7) == 7

    def test_an_object_that_prints_as_a_url_is_one(self, registry: Registry) -> None:
        class Url:
            def __str__(self) -> str:
                return "http://api.example/x"

        assert registry.breaker_for(Url()) is registry.breaker_for("http://api.example")

    def test_a_held_object_comes_alive_and_the_one_breaker_of_its_policy_is_it(
        self, registry: Registry
    ) -> None:
        held = registry.breaker_for("http://payments.shop:8080")
        registry.apply([policy(ServiceTarget("payments", "shop"))])

        assert registry.breaker_for("http://payments") is held
        assert held.policy == "shop/p"

    def test_two_held_objects_that_one_policy_covers_both_come_alive(self, registry: Registry) -> None:
        first = registry.breaker_for("http://payments.shop:8080")
        second = registry.breaker_for("http://payments.shop.svc:8080")
        registry.apply([policy(ServiceTarget("payments", "shop"), config=FORCED)])

        for breaker in (first, second):
            assert state_of(breaker) is CircuitState.FORCED_OPEN
        assert registry.breaker_for("http://payments.shop.svc:8080") is first
        assert {b.name for b in registry.breakers()} == {"payments.shop:8080", "payments.shop.svc:8080"}

        del second, breaker
        gc.collect()
        assert registry.breakers() == [first]

    def test_cached_lookups_follow_the_policies(self, registry: Registry) -> None:
        url = "http://api.example/"
        before = registry.breaker_for(url)
        assert before.policy == ""
        registry.apply([policy(HostTarget("api.example"), "exact"), policy(HostTarget("*.example"), "wild")])
        assert registry.breaker_for(url).policy == "shop/exact"
        registry.apply([policy(HostTarget("*.example"), "wild")])
        assert registry.breaker_for(url).policy == "shop/wild"
        registry.apply([])
        assert registry.breaker_for(url).policy == ""
        assert registry.breaker_for(url) is before

    def test_the_cache_of_spellings_is_bounded(self, registry: Registry) -> None:
        registry.apply([policy(HostTarget("api.example"))])
        for number in range(10_000):
            registry.breaker_for(f"http://user{number}@api.example/")
        registry.breaker_for(f"http://{'u' * 1000}@api.example/")

        assert len(registry._by_url) <= 4096
        assert max(map(len, registry._by_url)) <= 300
        assert len(registry.breakers()) == 1


class TestPolicyChanges:
    def test_an_open_circuit_stays_open_through_every_change_of_its_policy(self, registry: Registry) -> None:
        target = ServiceTarget("payments", "shop")
        registry.apply([policy(target, "old")])
        breaker = registry.breaker_for("http://payments.shop")
        fail(breaker)

        for documents in (
            [policy(target, "old", LENIENT, generation=2)],
            [policy(target, "renamed", LENIENT)],
            [policy(target, "renamed", STRICT, uid="recreated")],
            [policy(target, "other", STRICT), policy(HostTarget("*.shop"), "wild", LENIENT)],
            [policy(HostTarget("*.shop"), "wild", LENIENT)],
        ):
            registry.apply(documents)
            assert registry.breaker_for("http://payments.shop") is breaker
            assert state_of(breaker) is CircuitState.OPEN

        registry.apply([])
        assert state_of(breaker) is CircuitState.DISABLED
        registry.apply([policy(target)])
        assert state_of(breaker) is CircuitState.OPEN

    def test_a_policy_whose_target_changes_takes_no_state_along(self, registry: Registry) -> None:
        registry.apply([policy(ServiceTarget("payments", "shop"))])
        payments = registry.breaker_for("http://payments.shop")
        fail(payments)
        registry.apply([policy(ServiceTarget("orders", "shop"))])
        orders = registry.breaker_for("http://orders.shop")

        assert orders is not payments
        assert state_of(orders) is CircuitState.CLOSED
        assert payments.policy == ""
        assert payments.call(lambda: 7) == 7

    def test_force_open_reaches_breakers_met_later_too(self, registry: Registry) -> None:
        registry.apply([policy(HostTarget("*.example"), config=FORCED)])

        with pytest.raises(CircuitOpenError):
            registry.breaker_for("http://new.example").acquire()

    def test_the_policies_in_force_are_listed_even_without_breakers(self, registry: Registry) -> None:
        documents = [policy(NameTarget("b"), "b"), policy(NameTarget("a"), "a")]
        registry.apply(documents)

        assert registry.policies == tuple(documents[::-1])

    def test_counts_that_still_apply_are_kept(self, registry: Registry) -> None:
        config = CircuitConfig(window=CountWindow(10), minimum_calls=5)
        registry.apply([policy(NameTarget("x"), config=config)])
        breaker = registry.breaker("x")
        for _ in range(4):
            fail(breaker)
        registry.apply([])
        registry.apply([policy(NameTarget("x"), config=config)])
        fail(breaker)

        assert state_of(breaker) is CircuitState.OPEN

    def test_a_raising_listener_does_not_stop_the_others_from_being_steered(self, registry: Registry) -> None:
        @registry.on_transition
        def _(transition: Transition) -> None:
            raise RuntimeError(transition)

        breakers = [registry.breaker(f"b{n}") for n in range(3)]
        registry.apply([policy(NameTarget(f"b{n}"), f"p{n}", FORCED) for n in range(3)])

        assert {breaker.state for breaker in breakers} == {CircuitState.FORCED_OPEN}

    def test_listeners_hear_breakers_that_are_and_that_come(self, registry: Registry) -> None:
        heard: list[str] = []
        registry.breaker("old", STRICT)
        registry.on_transition(lambda transition: heard.append(transition.breaker))
        fail(registry.breaker("old"))
        fail(registry.breaker("new", STRICT))

        assert heard == ["old", "new"]


class TestMemory:
    def test_snapshots_are_restored_when_the_breaker_is_asked_for(self, registry: Registry) -> None:
        fail(registry.breaker("x", STRICT))
        after = Registry()
        after.remember(registry.snapshots())

        assert after.breaker("x", STRICT).state is CircuitState.OPEN

    def test_a_breaker_that_was_asked_for_before_is_restored_if_it_was_not_used(
        self, registry: Registry
    ) -> None:
        fail(registry.breaker("unused", STRICT))
        fail(registry.breaker("used", STRICT))
        after = Registry()
        unused, used = after.breaker("unused", STRICT), after.breaker("used", STRICT)
        used.acquire().success()
        after.remember(registry.snapshots())

        assert state_of(unused) is CircuitState.OPEN
        assert state_of(used) is CircuitState.CLOSED

    def test_what_nobody_asked_for_yet_is_remembered_on(self, registry: Registry) -> None:
        fail(registry.breaker("x", STRICT))
        second = Registry()
        second.remember(registry.snapshots())
        third = Registry()
        third.remember(second.snapshots())

        assert third.breaker("x", STRICT).state is CircuitState.OPEN

    def test_a_snapshot_waits_behind_a_breaker_without_policy(self, registry: Registry) -> None:
        fail(registry.breaker("x", STRICT))
        after = Registry()
        after.remember(registry.snapshots())
        breaker = after.breaker("x")
        assert state_of(breaker) is CircuitState.DISABLED

        after.apply([policy(NameTarget("x"))])
        assert state_of(breaker) is CircuitState.OPEN


def test_an_exception_path_that_does_not_exist_is_counted_once(registry: Registry) -> None:
    breaker = registry.breaker("x", CircuitConfig(failure_exceptions=("no.such.Error",)))
    breaker.acquire().failure(ValueError())
    registry.readings()
    registry.readings()

    assert registry.load_errors == {"exception": 1}


def test_many_threads_get_one_breaker_while_policies_come_and_go(registry: Registry) -> None:
    rounds, workers = 200, 4
    barrier = threading.Barrier(workers + 1)
    found: list[list[CircuitBreaker]] = [[] for _ in range(workers)]
    errors: list[BaseException] = []

    def look_up(mine: list[CircuitBreaker]) -> None:
        try:
            for number in range(rounds):
                barrier.wait(20)
                mine.append(registry.breaker_for(f"http://h{number}.example/x"))
                registry.breaker(f"n{number}", LENIENT)
        except BaseException as error:
            errors.append(error)
            barrier.abort()

    threads = [threading.Thread(target=look_up, args=(mine,)) for mine in found]
    for thread in threads:
        thread.start()
    for number in range(rounds):
        barrier.wait(20)
        registry.apply([policy(HostTarget("*.example"))] if number % 2 else [])
    for thread in threads:
        thread.join(20)

    assert not errors
    for same in zip(*found, strict=True):
        assert len(set(map(id, same))) == 1


def test_a_child_forked_while_another_thread_holds_the_lock_can_still_look_up(registry: Registry) -> None:
    held, release = threading.Event(), threading.Event()

    def hold() -> None:
        with registry._lock, registry._steering:
            held.set()
            release.wait(20)

    thread = threading.Thread(target=hold)
    thread.start()
    assert held.wait(20)
    child = os.fork()
    if child == 0:
        registry.breaker_for("http://new.example", STRICT)
        registry.apply([policy(NameTarget("x"))])
        os._exit(7)
    release.set()
    thread.join(20)

    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
