"""The operator's options: flags, each with a variable, checked before anything starts, and explained by --help."""

import re

import pytest

from switchgear_operator.options import Options, parse_options

DEFAULTS = Options(
    namespaces=(),
    kubeconfig=None,
    context=None,
    address="0.0.0.0",
    port=8080,
    workers=4,
    scrape_interval=5.0,
    scrape_timeout=2.0,
    scrape_concurrency=64,
    allow_host_network=False,
    log_format="text",
    log_level="info",
)

GOOD = [
    ("namespaces", "shop, bank,", ("shop", "bank")),
    ("namespaces", "a" * 63, ("a" * 63,)),
    ("kubeconfig", "some/file", "some/file"),
    ("context", "kind-dev", "kind-dev"),
    ("address", "127.0.0.1", "127.0.0.1"),
    ("port", "1", 1),
    ("port", "65535", 65535),
    ("workers", "64", 64),
    ("scrape-interval", "2.5", 2.5),
    ("scrape-interval", "3600", 3600.0),
    ("scrape-timeout", "0.1", 0.1),
    ("scrape-concurrency", "1000", 1000),
    ("allow-host-network", "yes", True),
    ("allow-host-network", "NO", False),
    ("log-format", "JSON", "json"),
    ("log-level", "debug", "debug"),
]

BAD = [
    ("namespaces", "Shop", "give names, separated by commas"),
    ("namespaces", "-bank", "give names, separated by commas"),
    ("namespaces", "a" * 64, "give names, separated by commas"),
    ("namespaces", "shop bank", "give names, separated by commas"),
    ("port", "0", "from 1 to 65535"),
    ("port", "65536", "from 1 to 65535"),
    ("port", "-1", "from 1 to 65535"),
    ("port", "http", "from 1 to 65535"),
    ("port", "８０", "from 1 to 65535"),
    ("port", "1_000", "from 1 to 65535"),
    ("workers", "0", "from 1 to 64"),
    ("workers", "1.5", "from 1 to 64"),
    ("scrape-interval", "5s", "from 0.2 to 3600"),
    ("scrape-interval", "nan", "from 0.2 to 3600"),
    ("scrape-interval", "inf", "from 0.2 to 3600"),
    ("scrape-timeout", "-1", "from 0.1 to 60"),
    ("scrape-timeout", "", "from 0.1 to 60"),
    ("scrape-concurrency", "1001", "from 1 to 1000"),
    ("allow-host-network", "true", "give one of yes, no"),
    ("log-format", "yaml", "give one of json, text"),
    ("log-level", "loud", "give one of debug, info, warning, error"),
]


def variable(flag: str) -> str:
    return "SWITCHGEAR_OPERATOR_" + flag.upper().replace("-", "_")


def field(options: Options, flag: str) -> object:
    return getattr(options, flag.replace("-", "_"))


def test_without_any_the_defaults_hold() -> None:
    assert parse_options(["run"], {}) == DEFAULTS


@pytest.mark.parametrize(("flag", "text", "value"), GOOD)
def test_a_flag_is_read(flag: str, text: str, value: object) -> None:
    assert field(parse_options(["run", f"--{flag}={text}"], {}), flag) == value


@pytest.mark.parametrize(("flag", "text", "value"), GOOD)
def test_its_variable_is_read_alike(flag: str, text: str, value: object) -> None:
    assert field(parse_options(["run"], {variable(flag): text}), flag) == value


def test_the_flag_wins_over_the_variable_even_if_that_is_bad() -> None:
    assert parse_options(["run", "--port=81"], {variable("port"): "http"}).port == 81


def test_an_empty_variable_is_as_none() -> None:
    assert parse_options(["run"], {variable("port"): "", variable("namespaces"): ""}) == DEFAULTS


@pytest.mark.parametrize(("flag", "text", "remedy"), BAD)
def test_a_bad_flag_is_refused_by_its_name_with_the_value_and_the_remedy(
    flag: str, text: str, remedy: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        parse_options(["run", f"--{flag}={text}"], {})

    assert ended.value.code == 2
    told = capsys.readouterr().err
    assert f"--{flag}" in told.splitlines()[-1]
    assert text in told
    assert remedy in told


@pytest.mark.parametrize(("flag", "text", "remedy"), [each for each in BAD if each[1]])
def test_a_bad_variable_is_refused_alike(
    flag: str, text: str, remedy: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        parse_options(["run"], {variable(flag): text})

    assert ended.value.code == 2
    told = capsys.readouterr().err
    assert f"--{flag}" in told.splitlines()[-1]
    assert remedy in told


def test_a_timeout_longer_than_the_interval_is_refused_naming_both(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as ended:
        parse_options(["run", "--scrape-interval=1"], {variable("scrape-timeout"): "1.5"})

    assert ended.value.code == 2
    told = capsys.readouterr().err
    assert "--scrape-timeout: 1.5 s is longer than --scrape-interval (1 s)" in told


@pytest.mark.parametrize("arguments", [[], ["walk"], ["run", "--frobnicate"], ["run", "more"]])
def test_what_it_does_not_know_is_refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parse_options(arguments, {})

    assert ended.value.code == 2
    assert (arguments[-1:] or ["COMMAND"])[0] in capsys.readouterr().err


def test_help_explains_every_flag_with_its_default_and_its_variable(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as ended:
        parse_options(["run", "--help"], {})

    assert ended.value.code == 0
    text = " ".join(capsys.readouterr().out.split())
    for name in Options.__slots__:
        flag = f"--{name.replace('_', '-')}"
        explained = re.search(rf"{flag} \S+ (.*?)(?= --[a-z]|Each flag)", text.partition("options:")[2])
        assert explained is not None, flag
        assert "default: " in explained[1], flag
    assert "SWITCHGEAR_OPERATOR_SCRAPE_INTERVAL" in text
    for flag in ("--scrape-interval", "--scrape-timeout"):
        assert re.search(rf"{flag} SECONDS seconds ", text)


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parse_options(["--version"], {})

    assert ended.value.code == 0
    assert re.match(r"switchgear-operator \d+\.\d+", capsys.readouterr().out)
