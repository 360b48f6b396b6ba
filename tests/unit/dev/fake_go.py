"""A stand-in for `go`: what it does is told by files in its own folder. It answers as fast as the real one does not."""

import stat
from pathlib import Path

__all__ = ["install_fake_go"]

_SCRIPT = """\
#!/bin/sh
here=$(dirname "$0")
case "$1" in
env) cat "$here/version" ;;
list) echo "go: downloading example.org/module v1.0.0" >&2; printf 'one\\ntwo\\nthree\\n' ;;
build)
    echo built >> "$here/builds"
    for argument in "$@"; do
        test "$last" = -o && output=$argument
        last=$argument
    done
    echo one >&2
    test -e "$here/hangs" && { echo $$ > "$here/pid"; exec sleep 600; }
    test -e "$here/fails" && { echo "module: it does not compile" >&2; exit 1; }
    for program in server kube-apiserver kube-controller-manager helm; do echo > "$output$program"; done ;;
esac
"""


def install_fake_go(folder: Path, version: str = "go1.26.3") -> Path:
    """Put a `go` of a version into a folder, and return its path. A file `hangs` or `fails` there makes builds do so."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "version").write_text(f"{version}\n")
    program = folder / "go"
    program.write_text(_SCRIPT)
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return program
