"""Flags and environment variables: what they become, and what a bad one is told."""

from typing import Any

import pytest

from switchgear_operator.options import Options, parse_options

FLAGS = {
    "namespaces": ("shop, bank", ("shop", "bank")),
    "kubeconfig": ("/etc/kube/config", "/etc/kube/config"),
    "context": ("kind-dev", "kind-dev"),
    "address": ("127.0.0.1", "127.0.0.1"),
    "port": ("9090", 9090),
    "workers": ("16", 16),
    "scrape-interval": ("7.5", 7.5),
    "scrape-timeout": ("0.5", 0.5),
    "scrape-concurrency": ("1000", 1000),
    "allow-host-network": ("yes", True),
    "log-format": ("JSON", "json"),
    "log-level": ("Debug", "debug"),
}
"""Each flag, a value that is not its default, and what that becomes."""

BAD = [
    ("namespaces", "Shop", "names, separated by commas"),
    ("namespaces", "shop,my_shop", "names, separated by commas"),
    ("namespaces", "shop/bank", "names, separated by commas"),
    ("address", "localhost:80", "IP address"),
    ("address", "", "IP address"),
    ("port", "0", "whole number from 1 to 65535"),
    ("port", "65536", "whole number from 1 to 65535"),
    ("port", "http", "whole number from 1 to 65535"),
    ("port", "-1", "whole number from 1 to 65535"),
    ("port", "8_0", "whole number from 1 to 65535"),
    ("port", "٨٠", "whole number from 1 to 65535"),
    ("workers", "0", "whole number from 1 to 64"),
    ("workers", "1.5", "whole number from 1 to 64"),
    ("scrape-interval", "0", "seconds from 0.2 to 3600"),
    ("scrape-interval", "5s", "seconds from 0.2 to 3600"),
    ("scrape-interval", "nan", "seconds from 0.2 to 3600"),
    ("scrape-interval", "inf", "seconds from 0.2 to 3600"),
    ("scrape-timeout", "0", "seconds from 0.1 to 60"),
    ("scrape-timeout", "61", "seconds from 0.1 to 60"),
    ("scrape-concurrency", "1001", "whole number from 1 to 1000"),
    ("allow-host-network", "maybe", "one of yes, no"),
    ("log-format", "xml", "one of json, text"),
    ("log-level", "verbose", "one of debug, info, warning, error"),
]

EACH_FLAG = pytest.mark.parametrize("flag", FLAGS)
EACH_BAD = pytest.mark.parametrize(("flag", "value", "remedy"), BAD)


def parse(*flags: str, **environ: str) -> Options:
    return parse_options(["run", *flags], environ)


def field(options: Options, flag: str) -> Any:
    return getattr(options, flag.replace("-", "_"))


def variable(flag: str) -> str:
    return f"SWITCHGEAR_OPERATOR_{flag.upper().replace('-', '_')}"


def test_the_flags_of_this_test_are_all_there_are() -> None:
    assert {flag.replace("-", "_") for flag in FLAGS} == set(Options.__dataclass_fields__)


def test_without_flags_the_defaults_hold() -> None:
    assert parse() == Options(
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


@EACH_FLAG
def test_each_flag_is_read(flag: str) -> None:
    text, value = FLAGS[flag]

    assert field(parse(f"--{flag}={text}"), flag) == value
    assert field(parse(f"--{flag}", text), flag) == value
    assert field(parse(), flag) != value


@EACH_FLAG
def test_each_flag_is_read_from_its_variable(flag: str) -> None:
    text, value = FLAGS[flag]

    assert field(parse(**{variable(flag): text}), flag) == value


@EACH_FLAG
def test_a_flag_wins_over_its_variable(flag: str) -> None:
    text, value = FLAGS[flag]
    other = next((bad for name, bad, _ in BAD if name == flag), "other")

    assert field(parse(f"--{flag}={text}", **{variable(flag): other}), flag) == value


@EACH_FLAG
def test_an_empty_variable_is_as_good_as_none(flag: str) -> None:
    assert parse(**{variable(flag): ""}) == parse()


def refused(capsys: pytest.CaptureFixture[str], *flags: str, **environ: str) -> str:
    with pytest.raises(SystemExit) as ended:
        parse(*flags, **environ)
    assert ended.value.code == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    return printed.err


@EACH_BAD
def test_a_bad_value_is_refused_by_its_flag(
    capsys: pytest.CaptureFixture[str], flag: str, value: str, remedy: str
) -> None:
    complaint = refused(capsys, f"--{flag}={value}")

    assert f"argument --{flag}: {value.rpartition(',')[2]!r}" in complaint
    assert remedy in complaint


@pytest.mark.parametrize(("flag", "value", "remedy"), [bad for bad in BAD if bad[1]])
def test_a_bad_variable_is_refused_by_its_flag(
    capsys: pytest.CaptureFixture[str], flag: str, value: str, remedy: str
) -> None:
    complaint = refused(capsys, **{variable(flag): value})

    assert f"argument --{flag}: " in complaint
    assert remedy in complaint


def test_a_timeout_longer_than_the_interval_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    complaint = refused(capsys, "--scrape-interval=1", "--scrape-timeout=2")

    assert "argument --scrape-timeout: 2 s is longer than --scrape-interval (1 s)" in complaint
    assert "lower the timeout or raise the interval" in complaint


@pytest.mark.parametrize("arguments", [[], ["walk"], ["run", "--prot=1"], ["run", "now"], ["run", "--port"]])
def test_what_is_no_option_is_refused(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parse_options(arguments, {})

    assert ended.value.code == 2
    assert "usage: switchgear-operator" in capsys.readouterr().err


def test_no_flag_is_taken_for_another_by_its_beginning(capsys: pytest.CaptureFixture[str]) -> None:
    refused(capsys, "--scrape-i=3")


@EACH_FLAG
def test_help_explains_each_flag(capsys: pytest.CaptureFixture[str], flag: str) -> None:
    with pytest.raises(SystemExit) as ended:
        parse("--help")

    assert ended.value.code == 0
    text = " ".join(capsys.readouterr().out.split())
    explained = text.partition(f" --{flag} ")[2].partition(" --")[0]
    assert len(explained.split()) > 4
    assert "default: " in explained
    assert "SWITCHGEAR_OPERATOR_" in text


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parse_options(["--version"], {})

    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith("switchgear-operator 0.")
