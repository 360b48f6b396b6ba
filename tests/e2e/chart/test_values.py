"""The chart's values: complete, described, and refused by name where they are wrong."""

import json
import re

import pytest
import yaml

from tests.e2e.chart.helm import CHART, REPOSITORY, Helm, HelmError, Manifest


def test_lint_finds_nothing(helm: Helm) -> None:
    assert "0 chart(s) failed" in helm("lint", "--strict", str(CHART))


def test_the_chart_has_the_same_definition_as_the_crds_folder() -> None:
    name = "circuitbreakerpolicies.switchgear.dev.yaml"

    assert (CHART / "files" / name).read_bytes() == (REPOSITORY / "crds" / name).read_bytes()


def test_the_rendered_definition_differs_only_in_labels_and_in_being_kept(helm: Helm) -> None:
    generated = yaml.safe_load(
        (REPOSITORY / "crds" / "circuitbreakerpolicies.switchgear.dev.yaml").read_text()
    )
    (rendered,) = (each for each in helm.template("x") if each["kind"] == "CustomResourceDefinition")

    assert rendered["metadata"].pop("annotations") == {"helm.sh/resource-policy": "keep"}
    assert rendered["metadata"].pop("labels")["app.kubernetes.io/managed-by"] == "Helm"
    assert rendered == generated


def test_every_value_is_described_by_a_comment() -> None:
    lines = (CHART / "values.yaml").read_text().splitlines()
    leaves = [index for index, line in enumerate(lines) if re.match(r" *[a-zA-Z]+: +\S", line)]
    undescribed = [lines[index] for index in leaves if not is_described(lines, index)]

    assert undescribed == []


def is_described(lines: list[str], index: int) -> bool:
    """A comment stands above the value, above its whole group, or above the value right before it."""
    above = index
    while above and lines[above - 1].strip() and not lines[above - 1].lstrip().startswith("#"):
        above -= 1
    return above > 0 and lines[above - 1].lstrip().startswith("#")


def test_the_schema_knows_exactly_the_values_there_are() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    schema = json.loads((CHART / "values.schema.json").read_text())

    assert set(schema["properties"]) - {"global"} == set(values)
    for name, value in values.items():
        if isinstance(value, dict) and value:
            assert set(schema["properties"][name]["properties"]) == set(value), name


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("replicas", 2, "'replicas'"),
        ("scrap", {"interval": 5}, "'scrap'"),
        ("scrape.intervall", 5, "'intervall'"),
        ("scrape.interval", "5s", "/scrape/interval"),
        ("scrape.interval", 0, "/scrape/interval"),
        ("scrape.interval", 3601, "/scrape/interval"),
        ("scrape.timeout", -1, "/scrape/timeout"),
        ("scrape.timeout", 61, "/scrape/timeout"),
        ("scrape.timeout", 7, "scrape.timeout (7) is longer than scrape.interval (5)"),
        ("scrape.concurrency", 0, "/scrape/concurrency"),
        ("scrape.concurrency", 1.5, "/scrape/concurrency"),
        ("scrape.allowHostNetwork", "yes", "/scrape/allowHostNetwork"),
        ("workers", 65, "/workers"),
        ("log.format", "xml", "/log/format"),
        ("log.level", "WARN", "/log/level"),
        ("http.port", 80, "/http/port"),
        ("http.port", 65536, "/http/port"),
        ("http.port", "8080", "/http/port"),
        ("http.address", "localhost", "/http/address"),
        ("namespaces", "shop", "/namespaces"),
        ("namespaces", ["Shop"], "/namespaces/0"),
        ("namespaces", ["shop", "shop"], "/namespaces"),
        ("image.repository", "", "/image/repository"),
        ("image.tag", "a b", "/image/tag"),
        ("image.tag", 1.0, "/image/tag"),
        ("image.pullPolicy", "Sometimes", "/image/pullPolicy"),
        ("imagePullSecrets", ["name"], "/imagePullSecrets/0"),
        ("crds.install", "true", "/crds/install"),
        ("serviceAccount.annotations", {"a": 1}, "/serviceAccount/annotations/a"),
        ("resources.limits", {"memory": "lots"}, "/resources/limits/memory"),
        ("fullnameOverride", "Big Name", "/fullnameOverride"),
        ("podLabels", {"a": True}, "/podLabels/a"),
        ("tolerations", ["all"], "/tolerations/0"),
    ],
)
def test_a_bad_value_is_refused_by_name(helm: Helm, name: str, value: object, said: str) -> None:
    with pytest.raises(HelmError) as refused:
        helm.template("x", {name: value})

    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("values", "flag"),
    [
        ({}, "--scrape-interval=5"),
        ({"scrape": {"interval": 0.5, "timeout": 0.25}}, "--scrape-interval=0.5"),
        ({"scrape": {"interval": 0.5, "timeout": 0.25}}, "--scrape-timeout=0.25"),
        ({"scrape.interval": 3600}, "--scrape-interval=3600"),
        ({"scrape.concurrency": 1000}, "--scrape-concurrency=1000"),
        ({"scrape.allowHostNetwork": True}, "--allow-host-network=yes"),
        ({"workers": 8}, "--workers=8"),
        ({"log": {"format": "text", "level": "debug"}}, "--log-format=text"),
        ({"log": {"format": "text", "level": "debug"}}, "--log-level=debug"),
        ({"http": {"address": "::", "port": 9000}}, "--address=::"),
        ({"http": {"address": "::", "port": 9000}}, "--port=9000"),
        ({"namespaces": ["shop", "bank"]}, "--namespaces=shop,bank"),
    ],
)
def test_a_value_becomes_a_flag_that_the_operator_takes(helm: Helm, values: Manifest, flag: str) -> None:
    from switchgear_operator.options import parse_options

    container = operator_container(helm.template("x", values))

    assert flag in container["args"]
    parse_options([container["command"][-1], *container["args"]], {})


def operator_container(objects: list[Manifest]) -> Manifest:
    (deployment,) = (each for each in objects if each["kind"] == "Deployment")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    found: Manifest = container
    return found
