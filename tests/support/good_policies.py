"""Policies that must be accepted: specs in YAML, by what is special about them."""

from typing import Any

import yaml

__all__ = ["GOOD", "as_json"]

GOOD = {
    "nothing but a name": "target: {name: orders-db}",
    "a name with spaces and accents": "target: {name: Bücher und Zeitschriften}",
    "the shortest name": "target: {name: x}",
    "a service": "target: {service: {name: payments}}",
    "a service in another namespace with a port": "target: {service: {name: payments, namespace: shop, port: 65535}}",
    "a host": "target: {host: api.stripe.com}",
    "a host with a port": "target: {host: 'api.stripe.com:8443'}",
    "a host with the highest port": "target: {host: 'api.stripe.com:65535'}",
    "a host in capitals with its final dot": "target: {host: API.Stripe.COM.}",
    "a host of one label": "target: {host: localhost}",
    "a host whose labels start with digits": "target: {host: 3scale.4sq.7z}",
    "an internationalized host": "target: {host: xn--bcher-kva.example}",
    "an IPv4 address": "target: {host: 10.0.0.7}",
    "an IPv4 address with a port": "target: {host: '255.255.255.255:1'}",
    "a wildcard": "target: {host: '*.example.com'}",
    "a wildcard with a port": "target: {host: '*.svc.cluster.local:80'}",
    "a host as long as DNS allows": f"target: {{host: {'.'.join(['a' * 63] * 3 + ['b' * 61])}}}",
    "observe": "{target: {name: db}, mode: Observe}",
    "force open": "{target: {name: db}, mode: ForceOpen}",
    "disabled": "{target: {name: db}, mode: Disabled}",
    "another time window": "{target: {name: db}, trip: {window: {duration: 1m30s}}}",
    "a time window by its type": "{target: {name: db}, trip: {window: {type: Time, duration: 500ms}}}",
    "a count window": "{target: {name: db}, trip: {window: {type: Count, size: 100}}}",
    "a count window of just the minimum": "{target: {name: db}, trip: {window: {type: Count, size: 20}}}",
    "the smallest count window": "{target: {name: db}, trip: {window: {type: Count, size: 1}, minimumCalls: 1}}",
    "the largest count window": "{target: {name: db}, trip: {window: {type: Count, size: 10000}, minimumCalls: 10000}}",
    "percents at their ends": "{target: {name: db}, trip: {failureRatePercent: 1, slowCalls: {duration: 1ms, ratePercent: 100}}}",
    "a whole percent written as a float": "{target: {name: db}, trip: {failureRatePercent: 60.0}}",
    "slow calls with their default share": "{target: {name: db}, trip: {slowCalls: {duration: 2s}}}",
    "failures in a row": "{target: {name: db}, trip: {consecutiveFailures: 3}}",
    "the longest durations": "{target: {name: db}, recovery: {openDuration: 87600h, maxOpenDuration: 87600h}}",
    "the shortest durations": "{target: {name: db}, recovery: {openDuration: 1ms, maxOpenDuration: 1ms}}",
    "equal durations in other units": "{target: {name: db}, recovery: {openDuration: 90s, maxOpenDuration: 1m30s}}",
    "a duration of four parts": "{target: {name: db}, recovery: {maxOpenDuration: 1h2m3s4ms}}",
    "no jitter and no backoff": "{target: {name: db}, recovery: {jitterPercent: 0, backoffMultiplierPercent: 100}}",
    "the most jitter and backoff": "{target: {name: db}, recovery: {jitterPercent: 100, backoffMultiplierPercent: 10000}}",
    "one probe": "{target: {name: db}, recovery: {halfOpen: {permittedCalls: 1, successThreshold: 1}}}",
    "fewer successes than probes": "{target: {name: db}, recovery: {halfOpen: {permittedCalls: 10, successThreshold: 3}}}",
    "a timeout and a bulkhead": "{target: {name: db}, timeout: {call: 3s}, limits: {maxConcurrentCalls: 100}}",
    "empty sections": "{target: {name: db}, trip: {}, recovery: {halfOpen: {}}, timeout: {}, limits: {}, classify: {httpStatuses: {}}}",
    "exceptions": "{target: {name: db}, classify: {exceptions: {failures: [httpx.TransportError, TimeoutError], ignored: [my_app.Outer.Not_Found2]}}}",
    "statuses and codes": "{target: {name: db}, classify: {httpStatuses: {failures: ['503', 4xx], ignored: ['404']}, grpcStatuses: {failures: [UNAVAILABLE, DATA_LOSS]}}}",
    "nothing is a failure by its status": "{target: {name: db}, classify: {httpStatuses: {failures: []}, grpcStatuses: {failures: []}}}",
    "the whole of the design's example": """
        target: {service: {name: payments, namespace: shop, port: 8080}}
        mode: Enforce
        trip:
          window: {type: Time, duration: 10s}
          minimumCalls: 20
          failureRatePercent: 50
          slowCalls: {duration: 2s, ratePercent: 80}
          consecutiveFailures: 10
        recovery:
          openDuration: 5s
          maxOpenDuration: 5m
          backoffMultiplierPercent: 200
          jitterPercent: 10
          halfOpen: {permittedCalls: 5, successThreshold: 5, maxDuration: 30s}
        timeout: {call: 3s}
        limits: {maxConcurrentCalls: 100}
        classify:
          exceptions: {failures: [httpx.TransportError], ignored: [myapp.NotFound]}
          httpStatuses: {failures: ["5xx", "429"], ignored: []}
          grpcStatuses: {failures: [UNAVAILABLE, DEADLINE_EXCEEDED]}
    """,
}


def as_json(text: str) -> Any:
    """A spec as it reaches the API server: in JSON 60.0 is 60."""
    return _whole(yaml.safe_load(text))


def _whole(value: Any) -> Any:
    match value:
        case dict():
            return {key: _whole(item) for key, item in value.items()}
        case float():
            return int(value)
        case _:
            return value
