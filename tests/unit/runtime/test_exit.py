"""What a program that uses switchgear says when it ends: nothing."""

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize(
    "program",
    [
        "import switchgear",
        "import switchgear; switchgear.Registry().breaker('payments')",
        "import switchgear; kept = switchgear.Registry(); kept.breaker('payments')",
        "import switchgear; switchgear.configure(metrics_port=0, metrics_address='127.0.0.1', policy_dir='.')",
    ],
)
def test_a_program_ends_in_silence(program: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True
    )

    assert (done.stdout, done.stderr) == ("", "")
