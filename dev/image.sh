#!/usr/bin/env bash
# Builds the operator's image from the Containerfile: dev/image.sh [NAME:TAG]
#
# Docker or podman build it where one of them runs. Elsewhere buildah does, which needs neither a daemon nor a container
# runtime; and where no registry can be reached, on a base image made of Debian packages by mmdebstrap (root only).
set -euo pipefail
cd "$(dirname "$0")/.."

readonly python=${VENV:-.venv}/bin/python
readonly context=build/image
readonly base=python:3.12-slim
readonly own_base=localhost/switchgear-base:bookworm

say() { echo "» $*"; }

fail() {
    echo "$*" >&2
    exit 1
}

require() { # PROGRAM PACKAGE
    command -v "$1" > /dev/null || fail "the image needs $1, which is not installed. Either install docker or podman, or on" \
        "Debian and Ubuntu, as root: apt-get install $2"
}

prepare_context() {
    rm -rf "$context"
    mkdir -p "$context"
    "$python" -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir "$context" .
    cp Containerfile requirements/operator.txt "$context"
}

buildah_here() { # build and run without a container runtime
    buildah "$1" --isolation chroot --network host "${@:2}"
}

certificates() { # the host's certificate authorities, for registries of packages behind a proxy with one of its own
    local bundle=${PIP_CERT:-${SSL_CERT_FILE:-}}
    if [[ -n $bundle && -f $bundle ]]; then
        printf '%s\n' --volume "$bundle:/run/host-certificates.crt:ro" --build-arg=PIP_CERT=/run/host-certificates.crt
    fi
}

make_own_base() {
    if buildah inspect --type image "$own_base" > /dev/null 2>&1; then
        return
    fi
    require mmdebstrap mmdebstrap
    [[ $(id -u) == 0 ]] || fail "$base cannot be pulled, and only root can make a base image with mmdebstrap: run make image as root"
    say "$base cannot be pulled: making a base image from Debian packages (about a minute, once)"
    mmdebstrap --quiet --variant=minbase --include=python3,python3-venv,ca-certificates bookworm "$context/base.tar"
    local container
    container=$(buildah from scratch)
    buildah add --quiet "$container" "$context/base.tar" / > /dev/null
    buildah commit --quiet "$container" "$own_base" > /dev/null
    buildah rm "$container" > /dev/null
    rm "$context/base.tar"
}

build_with_buildah() {
    local chosen=$base options
    if ! buildah pull --quiet "$base" > /dev/null 2>&1; then
        make_own_base
        chosen=$own_base
    fi
    mapfile -t options < <(certificates)
    buildah_here build --quiet "${options[@]}" --build-arg "BASE=$chosen" --tag "$image" "$context"
    say "trying it"
    tried=$(buildah from --pull=never "$image")
    trap 'buildah rm "$tried" > /dev/null' EXIT
    buildah_here run "$tried" -- python -m switchgear_operator --version
}

[[ -x $python ]] || fail "$python does not exist: run make venv first"
image=${1:-switchgear-operator:$("$python" -c 'from importlib.metadata import version; print(version("switchgear"))')}

for engine in docker podman; do
    if command -v "$engine" > /dev/null && "$engine" info > /dev/null 2>&1; then
        say "building $image with $engine"
        prepare_context
        "$engine" build --tag "$image" --file "$context/Containerfile" "$context"
        "$engine" run --rm "$image" python -m switchgear_operator --version
        say "$image is built"
        exit
    fi
done
say "neither docker nor podman runs here: building $image with buildah"
require buildah "buildah mmdebstrap"
prepare_context
build_with_buildah
say "$image is built; to bring it elsewhere: buildah push $image docker-archive:switchgear-operator.tar"
