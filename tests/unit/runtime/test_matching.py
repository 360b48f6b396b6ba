"""Which policy applies to a URL."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchgear.matching import Endpoint, Matcher, Rule, parse_endpoint
from switchgear.targets import HostTarget, NameTarget, ServiceTarget, Target


def rule(target: Target, policy: str = "shop/p") -> Rule[str]:
    return Rule(policy, target, str(target))


def matched(url: object, *rules: Rule[str]) -> str | None:
    endpoint = parse_endpoint(url)
    found = None if endpoint is None else Matcher(rules).match(endpoint)
    return None if found is None else found.value


PAYMENTS = rule(ServiceTarget("payments", "shop"))
PAYMENTS_8080 = rule(ServiceTarget("payments", "shop", 8080))


@pytest.mark.parametrize(
    "url",
    [
        "http://payments",
        "http://payments:8080/pay?x=1",
        "http://payments.shop",
        "http://payments.shop.svc/",
        "http://payments.shop.svc.cluster.local",
        "http://payments.shop.svc.example.internal:9",
        "http://payments.shop.svc.cluster.local.",
        "http://payments.shop.",
        "HTTP://PayMents.SHOP.Svc",
        "https://user:p%40ss@payments.shop/x@y",
        "payments.shop",
        "payments.shop:8080",
        "//payments.shop/path",
        "http://payments.shop?query",
        "http://payments.shop#fragment",
        "  http://payments.shop  ",
    ],
)
def test_a_service_is_matched_by_each_of_its_names(url: str) -> None:
    assert matched(url, PAYMENTS) == "payments.shop"


@pytest.mark.parametrize(
    "url",
    [
        "http://payments.other",
        "http://payments.shop.example.com",
        "http://payments.shop.svcx",
        "http://x.payments.shop.svc",
        "http://payments.shop.pod.cluster.local",
        "http://shop.payments",
        "http://payments-shop",
        "http://paymentsx",
    ],
)
def test_a_service_is_not_matched_by_another_name(url: str) -> None:
    assert matched(url, PAYMENTS) is None


def test_the_short_name_means_the_service_only_in_its_own_namespace() -> None:
    elsewhere = rule(ServiceTarget("payments", "bank"), policy="shop/p")

    assert matched("http://payments", elsewhere) is None
    assert matched("http://payments.bank", elsewhere) == "payments.bank"


@pytest.mark.parametrize(
    ("url", "applies"),
    [
        ("http://payments.shop:8080", True),
        ("http://payments.shop:08080", True),
        ("http://payments.shop", False),
        ("http://payments.shop:80", False),
        ("payments.shop:8080", True),
        ("payments.shop", False),
    ],
)
def test_a_port_in_the_policy_must_be_the_urls(url: str, applies: bool) -> None:
    assert (matched(url, PAYMENTS_8080) is not None) is applies


@pytest.mark.parametrize(
    ("scheme", "port"), [("http", 80), ("https", 443), ("ws", 80), ("wss", 443), ("HTTPS", 443)]
)
def test_the_schemes_default_port_counts(scheme: str, port: int) -> None:
    host = rule(HostTarget("api.example", port))

    assert matched(f"{scheme}://api.example/", host) is not None
    assert matched(f"{scheme}://api.example:/", host) is not None
    assert matched(f"{scheme}://api.example:{port + 1}/", host) is None


def test_a_scheme_without_a_default_port_matches_only_targets_without_one() -> None:
    assert matched("ftp://api.example", rule(HostTarget("api.example"))) is not None
    assert matched("ftp://api.example", rule(HostTarget("api.example", 80))) is None


def test_an_exact_host_matches_itself_alone() -> None:
    host = rule(HostTarget("api.stripe.com"))

    assert matched("https://API.stripe.com./v1", host) == "api.stripe.com"
    assert matched("https://x.api.stripe.com", host) is None
    assert matched("https://stripe.com", host) is None


def test_a_wildcard_matches_any_depth_below_its_suffix_and_not_the_suffix() -> None:
    wildcard = rule(HostTarget("*.stripe.com"))

    assert matched("https://api.stripe.com", wildcard) is not None
    assert matched("https://a.b.c.stripe.com", wildcard) is not None
    assert matched("https://stripe.com", wildcard) is None
    assert matched("https://notstripe.com", wildcard) is None
    assert matched("https://api.stripe.com.evil.example", wildcard) is None


def test_exact_beats_wildcard_then_the_longer_suffix_then_the_port() -> None:
    rules = [
        rule(HostTarget("*.com"), "shop/a"),
        rule(HostTarget("*.stripe.com", 443), "shop/b"),
        rule(HostTarget("*.stripe.com"), "shop/a"),
        rule(HostTarget("*.eu.stripe.com"), "shop/z"),
        rule(HostTarget("api.stripe.com"), "shop/a"),
        rule(HostTarget("api.stripe.com", 443), "shop/z"),
    ]

    for order in (rules, rules[::-1]):
        assert matched("https://api.stripe.com", *order) == "api.stripe.com:443"
        assert matched("http://api.stripe.com", *order) == "api.stripe.com"
        assert matched("https://x.stripe.com", *order) == "*.stripe.com:443"
        assert matched("http://x.stripe.com", *order) == "*.stripe.com"
        assert matched("https://x.eu.stripe.com", *order) == "*.eu.stripe.com"
        assert matched("https://example.com", *order) == "*.com"


def test_a_service_and_an_exact_host_are_equals_and_the_port_decides() -> None:
    host = rule(HostTarget("payments.shop", 8080), "shop/z")
    wildcard = rule(HostTarget("*.shop", 8080), "shop/a")

    assert matched("http://payments.shop:8080", PAYMENTS, host, wildcard) == "payments.shop:8080"
    assert matched("http://payments.shop:81", PAYMENTS, host, wildcard) == "payments.shop"


def test_what_is_still_equal_is_decided_by_the_policys_name() -> None:
    first = Rule("shop/a", HostTarget("api.example"), "first")
    second = Rule("shop/b", HostTarget("api.example"), "second")

    assert matched("http://api.example", second, first) == "first"


def test_a_name_target_matches_no_url() -> None:
    assert matched("http://orders-db", rule(NameTarget("orders-db"))) is None


@pytest.mark.parametrize(
    ("url", "endpoint"),
    [
        ("http://[::1]:8080/", Endpoint("::1", 8080)),
        ("http://[2001:DB8:0:0::1]/", Endpoint("2001:db8::1", 80)),
        ("http://u:p@[::1]", Endpoint("::1", 80)),
        ("http://[fe80::1%25eth0]/", Endpoint("fe80::1%eth0", 80)),
        ("::1", Endpoint("::1", None)),
        ("127.0.0.1:9", Endpoint("127.0.0.1", 9)),
        ("http://bücher.example", Endpoint("xn--bcher-kva.example", 80)),
        ("http://xn--bcher-kva.example", Endpoint("xn--bcher-kva.example", 80)),
        ("http://a@b@host.example", Endpoint("host.example", 80)),
        ("http://host.example\\@evil.example", Endpoint("host.example", 80)),
    ],
)
def test_addresses_users_and_international_names_are_understood(url: str, endpoint: Endpoint) -> None:
    assert parse_endpoint(url) == endpoint


def test_an_endpoint_prints_as_it_is_written_in_a_url() -> None:
    assert str(Endpoint("::1", 80)) == "[::1]:80"
    assert str(Endpoint("api.example", None)) == "api.example"


class Unprintable:
    def __str__(self) -> str:
        raise RuntimeError


@pytest.mark.parametrize(
    "garbage",
    [
        "",
        " ",
        "http://",
        "http:///path",
        "http://:80",
        "http://host:port",
        "http://host:65536",
        "http://host:-1",
        "http://host:８０",
        "http://[::1",
        "http://[::1]80",
        "http://[nonsense]/",
        "http://[::1::2]/",
        "http://a..b",
        "http://.a",
        "http://a b",
        "http://a\x00b",
        "http://a\nb",
        "http://" + "a" * 254,
        "http://" + "ü" * 100_000,
        "http://\ud800.example",
        "http://%61.example",
        "/only/a/path",
        "http://user@",
        None,
        b"http://bytes.example",
        object(),
        Unprintable(),
    ],
)
def test_garbage_has_no_endpoint(garbage: object) -> None:
    assert parse_endpoint(garbage) is None


@given(st.text(alphabet=st.sampled_from(string.printable + "ü\u2028\x00:@[]./"), max_size=40))
def test_no_text_raises_and_what_is_found_is_a_bounded_printable_name(text: str) -> None:
    endpoint = parse_endpoint(text)

    if endpoint is not None:
        assert endpoint.host.isascii()
        assert endpoint.host.isprintable()
        assert len(str(endpoint)) < 300
