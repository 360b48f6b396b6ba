"""The policy document: one form for equal policies, read back as written, and safe against any bytes."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchgear import CircuitConfig, CountWindow, Mode, TimeWindow
from switchgear.config import LONGEST
from switchgear.policy import LARGEST_DOCUMENT, PolicyDocument, PolicyError
from switchgear.targets import HostTarget, NameTarget, ServiceTarget, Target

SECONDS = st.integers(1, int(LONGEST * 1000)).map(lambda milliseconds: milliseconds / 1000)
PERCENT = st.integers(1, 100).map(lambda percent: percent / 100)
COUNT = st.integers(1, 1_000_000)
NAME = st.from_regex(r"[a-z]([a-z0-9-]{0,10}[a-z0-9])?", fullmatch=True)
HOST = st.from_regex(r"(\*\.)?[a-z]{1,8}(\.[a-z]{1,8}){1,3}", fullmatch=True)
PORT = st.none() | st.integers(1, 65535)
PATHS = st.lists(st.from_regex(r"[A-Za-z_]{1,8}(\.[A-Za-z_]{1,8}){0,3}", fullmatch=True), max_size=3).map(
    tuple
)
STATUSES = st.lists(st.sampled_from(["5xx", "4xx", "429", "503"]), max_size=3).map(tuple)
TARGETS: st.SearchStrategy[Target] = st.one_of(
    st.builds(ServiceTarget, NAME, NAME, PORT), st.builds(HostTarget, HOST, PORT), st.builds(NameTarget, NAME)
)


@st.composite
def configs(draw: st.DrawFn) -> CircuitConfig:
    window = draw(st.builds(TimeWindow, SECONDS) | st.builds(CountWindow, st.integers(1, 10_000)))
    shortest, longest = sorted((draw(SECONDS), draw(SECONDS)))
    half_open_calls = draw(COUNT)
    slow = draw(st.none() | SECONDS)
    return CircuitConfig(
        window=window,
        minimum_calls=draw(st.integers(1, window.size if isinstance(window, CountWindow) else 1_000_000)),
        failure_rate_threshold=draw(PERCENT),
        slow_call_duration=slow,
        slow_call_rate_threshold=0.8 if slow is None else draw(PERCENT),
        consecutive_failures=draw(st.none() | COUNT),
        open_duration=shortest,
        max_open_duration=longest,
        backoff_multiplier=draw(st.integers(100, 10_000)) / 100,
        jitter=draw(st.integers(0, 100)) / 100,
        half_open_calls=half_open_calls,
        success_threshold=draw(st.integers(1, half_open_calls)),
        half_open_max_duration=draw(SECONDS),
        call_timeout=draw(st.none() | SECONDS),
        max_concurrent_calls=draw(st.none() | COUNT),
        failure_exceptions=draw(PATHS),
        ignored_exceptions=draw(PATHS),
        failure_http_statuses=draw(STATUSES),
        ignored_http_statuses=draw(STATUSES),
        failure_grpc_statuses=draw(
            st.lists(st.sampled_from(["UNAVAILABLE", "ABORTED"]), max_size=2).map(tuple)
        ),
        mode=draw(st.sampled_from(Mode)),
    )


DOCUMENTS = st.builds(
    PolicyDocument,
    policy=st.builds("{}/{}".format, NAME, NAME),
    uid=st.uuids().map(str),
    generation=st.integers(1, 2**63 - 1),
    target=TARGETS,
    config=configs(),
)

EXAMPLE = PolicyDocument(
    policy="shop/payments",
    uid="4f7c",
    generation=7,
    target=ServiceTarget("payments", "shop", 8080),
    config=CircuitConfig(
        slow_call_duration=2.0, consecutive_failures=10, ignored_exceptions=("myapp.NotFound",)
    ),
)


def example(*path: str, value: object = None, remove: bool = False) -> dict[str, Any]:
    """EXAMPLE's fields with one of them changed."""
    fields: dict[str, Any] = json.loads(EXAMPLE.to_json())
    holder = fields
    for name in path[:-1]:
        holder = holder[name]
    if remove:
        del holder[path[-1]]
    elif path:
        holder[path[-1]] = value
    return fields


def refusal(data: bytes | str) -> PolicyError:
    with pytest.raises(PolicyError) as caught:
        PolicyDocument.from_json(data)
    assert len(str(caught.value)) < 1000
    str(caught.value).encode()  # it goes into a log
    return caught.value


class TestWriting:
    @given(DOCUMENTS)
    def test_what_is_written_is_what_is_read(self, document: PolicyDocument) -> None:
        text = document.to_json()
        again = PolicyDocument.from_json(text)
        assert again == document
        assert again.to_json() == text
        assert PolicyDocument.from_json(text.encode()) == document

    def test_it_is_canonical(self) -> None:
        text = EXAMPLE.to_json()
        assert text == json.dumps(json.loads(text), sort_keys=True, separators=(",", ":"))
        assert text.isascii()
        assert not text.endswith("\n")

    def test_it_is_what_the_design_shows(self) -> None:
        assert json.loads(EXAMPLE.to_json()) == {
            "schema": 1,
            "policy": "shop/payments",
            "uid": "4f7c",
            "generation": 7,
            "target": {"service": {"name": "payments", "namespace": "shop", "port": 8080}},
            "mode": "Enforce",
            "trip": {
                "window": {"type": "Time", "duration": 10_000},
                "minimumCalls": 20,
                "failureRatePercent": 50,
                "slowCalls": {"duration": 2000, "ratePercent": 80},
                "consecutiveFailures": 10,
            },
            "recovery": {
                "openDuration": 5000,
                "maxOpenDuration": 300_000,
                "backoffMultiplierPercent": 200,
                "jitterPercent": 10,
                "halfOpen": {"permittedCalls": 5, "successThreshold": 5, "maxDuration": 30_000},
            },
            "timeout": {"call": None},
            "limits": {"maxConcurrentCalls": None},
            "classify": {
                "exceptions": {"failures": [], "ignored": ["myapp.NotFound"]},
                "httpStatuses": {"failures": ["5xx", "429"], "ignored": []},
                "grpcStatuses": {"failures": ["UNAVAILABLE", "DEADLINE_EXCEEDED"]},
            },
        }

    def test_exception_types_are_written_as_import_paths(self) -> None:
        config = CircuitConfig(failure_exceptions=(TimeoutError, json.JSONDecodeError))
        document = PolicyDocument(policy="a/b", uid="u", generation=1, target=NameTarget("n"), config=config)
        again = PolicyDocument.from_json(document.to_json())
        assert again.config.failure_exceptions == ("builtins.TimeoutError", "json.decoder.JSONDecodeError")


class TestReading:
    def test_unknown_fields_are_ignored_at_any_depth(self) -> None:
        fields = example()
        for holder in (fields, fields["trip"], fields["trip"]["window"], fields["recovery"]["halfOpen"]):
            holder["addedLater"] = {"any": ["thing"]}
        fields["target"]["service"]["addedLater"] = True
        assert PolicyDocument.from_json(json.dumps(fields)) == EXAMPLE

    def test_a_host_is_read_in_lower_case_without_its_last_dot(self) -> None:
        fields = example("target", value={"host": "API.Example.COM.:443"})
        assert PolicyDocument.from_json(json.dumps(fields)).target == HostTarget("api.example.com", 443)

    @pytest.mark.parametrize("schema", [None, 0, 2, "1", True, [1], {"schema": 1}, 10**300])
    def test_an_unknown_schema_is_refused(self, schema: object) -> None:
        error = refusal(json.dumps(example("schema", value=schema)))
        assert error.reason == "schema"
        assert "this library reads 1: upgrade switchgear" in str(error)

    def test_an_oversized_document_is_refused_unread(self) -> None:
        error = refusal(b"\xff" * (LARGEST_DOCUMENT + 1))
        assert error.reason == "oversized"
        assert str(LARGEST_DOCUMENT) in str(error)

    @pytest.mark.parametrize("data", [b"\xff\xfe{}", b'{"schema":1,"policy":"\xe9"}', b"\xed\xa0\x80"])
    def test_what_is_not_utf_8_is_refused(self, data: bytes) -> None:
        assert refusal(data).reason == "encoding"

    @pytest.mark.parametrize(
        "data",
        [
            "",
            " ",
            "{",
            '{"schema":1',
            "{'schema':1}",
            '{"schema":1}x',
            '{"schema":1,"schema":1}',
            '{"schema":1,"trip":{"a":1,"a":2}}',
            '{"schema":NaN}',
            '{"schema":-Infinity}',
            "[" * 100_000,
            '{"a":' * 40_000,
            '{"schema":' + "9" * 5000 + "}",
            "\ufeff{}",
        ],
    )
    def test_what_is_not_json_is_refused(self, data: str) -> None:
        assert refusal(data).reason == "malformed"

    def test_every_prefix_of_a_document_is_refused(self) -> None:
        text = EXAMPLE.to_json().encode()
        for length in range(len(text)):
            assert refusal(text[:length]).reason == "malformed"

    def test_a_duplicate_key_among_many_is_found_at_once(self) -> None:
        keys = ",".join(f'"{number}":0' for number in range(25_000))
        error = refusal("{" + keys + ',"24999":1}')
        assert error.reason == "malformed"
        assert "duplicate key '24999'" in str(error)

    @pytest.mark.parametrize("data", ["[]", "null", "1", '"text"'])
    def test_what_is_no_object_is_refused(self, data: str) -> None:
        assert refusal(data).reason == "invalid"

    @pytest.mark.parametrize(
        ("path", "value", "named"),
        [
            (("policy",), None, "policy"),
            (("policy",), "", "policy"),
            (("policy",), "\ud800/x", "policy"),
            (("policy",), "shop/pay\nments", "policy"),
            (("uid",), 7, "uid"),
            (("generation",), 7.0, "generation"),
            (("generation",), True, "generation"),
            (("generation",), -1, "generation"),
            (("generation",), 10**300, "generation"),
            (("target",), None, "target"),
            (("target",), {}, "target has nothing: give one of service, host and name"),
            (("target",), {"host": "a.b", "name": "c"}, "give one of service, host and name"),
            (("target", "service", "port"), 0, "target.service.port"),
            (("target", "service", "port"), 65536, "target.service.port"),
            (("target", "service", "port"), "80", "target.service.port"),
            (("target", "service", "name"), "\x00", "name"),
            (("target",), {"host": "a.b:http"}, "the port of target.host is 'http'"),
            (("target",), {"host": "a.b:"}, "the port of target.host is ''"),
            (("target",), {"host": "a.b:99999"}, "the port of target.host is 99999"),
            (("target",), {"host": "a.b:" + "9" * 5000}, "the port of target.host"),
            (("target",), {"host": "[::1]:80"}, "the port of target.host"),
            (
                ("mode",),
                "enforce",
                "mode is 'enforce': give one of Enforce, Observe, ForceOpen, Disabled",
            ),
            (("trip",), [], "trip"),
            (("trip", "window", "type"), "Days", "trip.window.type is 'Days': give Time or Count"),
            (("trip", "window", "duration"), 0, "TimeWindow.duration"),
            (("trip", "window", "duration"), "10s", "duration"),
            (("trip", "window", "duration"), 10**300, "duration"),
            (("trip", "minimumCalls"), 0, "minimum_calls"),
            (("trip", "failureRatePercent"), 101, "failure_rate_threshold"),
            (("trip", "failureRatePercent"), 0.5, "failureRatePercent"),
            (("trip", "slowCalls"), 5, "trip.slowCalls"),
            (("trip", "slowCalls", "ratePercent"), 0, "slow_call_rate_threshold"),
            (("trip", "consecutiveFailures"), "10", "consecutive_failures"),
            (("trip", "consecutiveFailures"), 10**300, "consecutive_failures"),
            (("recovery",), None, "recovery"),
            (("recovery", "maxOpenDuration"), 1, "max_open_duration"),
            (("recovery", "backoffMultiplierPercent"), 99, "backoff_multiplier"),
            (("recovery", "jitterPercent"), 101, "jitter"),
            (("recovery", "halfOpen", "successThreshold"), 6, "success_threshold"),
            (("timeout", "call"), -1, "timeout.call"),
            (("timeout", "call"), [[]], "timeout.call"),
            (("limits", "maxConcurrentCalls"), 0, "max_concurrent_calls"),
            (("limits",), 5, "limits"),
            (("classify", "exceptions", "failures"), "OSError", "classify.exceptions.failures"),
            (("classify", "exceptions", "ignored"), [5], "classify.exceptions.ignored"),
            (("classify", "exceptions", "ignored"), ["\udcff.Error"], "classify.exceptions.ignored"),
            (("classify", "httpStatuses", "failures"), ["6xx"], "failure_http_statuses"),
            (("classify", "grpcStatuses", "failures"), {}, "classify.grpcStatuses.failures"),
        ],
    )
    def test_a_bad_field_is_named(self, path: tuple[str, ...], value: object, named: str) -> None:
        error = refusal(json.dumps(example(*path, value=value)))
        assert error.reason == "invalid"
        assert named in str(error)

    @pytest.mark.parametrize(
        "path",
        [
            ("policy",),
            ("uid",),
            ("generation",),
            ("target",),
            ("mode",),
            ("trip",),
            ("trip", "window"),
            ("trip", "minimumCalls"),
            ("recovery", "openDuration"),
            ("recovery", "halfOpen"),
            ("target", "service", "namespace"),
        ],
    )
    def test_a_missing_field_is_named(self, path: tuple[str, ...]) -> None:
        error = refusal(json.dumps(example(*path, remove=True)))
        assert error.reason == "invalid"
        assert path[-1] in str(error)

    @pytest.mark.parametrize("depth", [50, 500, 900, 5000, 50_000])
    def test_deep_nesting_anywhere_is_refused_or_ignored(self, depth: int) -> None:
        nested = "[" * depth + "]" * depth
        for name in ("policy", "schema", "trip", "mode", "target", "timeout", "addedLater"):
            fields = json.dumps(example(name, value="HERE")).replace('"HERE"', nested)
            try:
                assert PolicyDocument.from_json(fields) == EXAMPLE
            except PolicyError as error:
                reason = error.reason
                assert reason in {"invalid", "malformed", "schema"}


JSON: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=8,
)
PATHS_OF_FIELDS = st.sampled_from(
    [
        ("policy",), ("uid",), ("generation",), ("target",), ("target", "service"), ("mode",), ("trip",),
        ("trip", "window"), ("trip", "slowCalls"), ("trip", "consecutiveFailures"), ("recovery",),
        ("recovery", "halfOpen"), ("timeout",), ("timeout", "call"), ("limits",), ("classify",),
        ("classify", "exceptions"), ("classify", "httpStatuses"), ("classify", "grpcStatuses", "failures"),
    ]
)  # fmt: skip


@given(PATHS_OF_FIELDS, JSON)
def test_whatever_stands_in_a_field_it_is_read_or_refused(path: tuple[str, ...], value: Any) -> None:
    try:
        document = PolicyDocument.from_json(json.dumps(example(*path, value=value)))
    except PolicyError as error:
        reason = error.reason
        assert reason == "invalid"
    else:
        assert PolicyDocument.from_json(document.to_json()) == document


@given(st.binary(max_size=200) | st.text(max_size=200))
def test_whatever_the_bytes_are_they_are_refused_with_a_reason(data: bytes | str) -> None:
    assert refusal(data).reason in {"encoding", "malformed", "invalid", "schema"}
