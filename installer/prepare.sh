#!/bin/bash
# Installs what this machine lacks to build, run or test tepui, and says so first.
#
#   prepare.sh [build] [docker] [test]
#
# build   a C++ compiler, libclang and a Rust toolchain
# docker  a running Docker engine
# test    what the tests drive: a browser, busybox, redis
#
# Debian's packages are used for everything Debian has in a usable version. Nothing that is there
# already is touched, and nothing happens when nothing is missing.
set -euo pipefail

RUST_MIN=1.95
DOCKER_WAIT_S=60

say() { printf 'prepare: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"
  elif have sudo; then sudo "$@"
  else die "root is needed for: $*"
  fi
}

installed() { dpkg-query -W -f '${Status}' "$1" 2>/dev/null | grep -q 'ok installed'; }

# apt PACKAGE…: installs those that are missing.
apt() {
  local missing=()
  for package in "$@"; do installed "$package" || missing+=("$package"); done
  [ ${#missing[@]} -gt 0 ] || return 0
  have apt-get || die "please install: ${missing[*]}"
  say "installing Debian packages: ${missing[*]}"
  if [ -z "$(find /var/lib/apt/lists -name '*_Packages*' -mmin -1440 2>/dev/null | head -1)" ]; then
    as_root apt-get update -qq
  fi
  # A package's service must not start by itself: tests start their own on free ports.
  as_root env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
    apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null \
    || die "apt-get could not install ${missing[*]}"
}

# version_at_least HAVE WANTED
version_at_least() { [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -1)" = "$2" ]; }

rust() {
  export PATH="$HOME/.cargo/bin:$PATH"
  if have rustc && version_at_least "$(rustc --version | cut -d' ' -f2)" "$RUST_MIN"; then return; fi
  if ! have rustup; then
    if [ -n "$(apt-cache madison rustup 2>/dev/null)" ]; then
      apt rustup
    else
      say "no Rust $RUST_MIN here and no rustup package: fetching rustup from its own site"
      curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs \
        | sh -s -- -y --profile minimal --default-toolchain none \
        || die "could not install rustup; install Rust $RUST_MIN by hand and run this again"
    fi
  fi
  say "installing Rust $RUST_MIN by rustup"
  rustup toolchain install "$RUST_MIN" --profile minimal -c clippy -c rustfmt
  rustup default "$RUST_MIN" >/dev/null
}

build() {
  apt g++ make pkg-config libclang-dev ca-certificates curl git ccache
  rust
}

docker_answers() { docker info >/dev/null 2>&1; }

docker_engine() {
  have dockerd || apt docker.io iptables
  docker_answers && return
  say "starting Docker"
  if [ -d /run/systemd/system ]; then
    as_root systemctl start docker || true
  else
    # No service manager (a container, a CI machine): the engine is started by hand.
    as_root sh -c 'nohup setsid dockerd >/var/log/dockerd.log 2>&1 </dev/null &'
  fi
  for _ in $(seq $DOCKER_WAIT_S); do
    docker_answers && return
    sleep 1
  done
  tail -5 /var/log/dockerd.log >&2 2>/dev/null || true
  die "Docker did not come up in $DOCKER_WAIT_S s; look at /var/log/dockerd.log or 'journalctl -u docker'"
}

tests() {
  apt busybox-static chromium iproute2 procps jq
}

[ $# -gt 0 ] || set -- build docker
for part in "$@"; do
  case "$part" in
    build) build ;;
    docker) docker_engine ;;
    test) tests ;;
    *) die "unknown part '$part'; use build, docker, test" ;;
  esac
done
