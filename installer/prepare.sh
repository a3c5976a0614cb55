#!/bin/bash
# Installs what this machine lacks to build, run or test tepui, and says so first.
#
#   prepare.sh [tools] [build] [docker] [demo] [test]
#
# tools   a C++ compiler, libclang, a Rust toolchain
# build   these, and RocksDB compiled (rocksdb.sh)
# docker  a running Docker engine
# demo    what `make demo` makes and asks with
# test    what the tests drive: a browser, busybox, two resolvers, two clients of the original's API
# rig     what tests on several hosts need beside that
#
# Debian's packages are used for everything Debian has in a usable version. Nothing that is there
# already is touched, and nothing happens when nothing is missing. A Node for the web page is the
# business of node.sh.
set -euo pipefail
self=prepare
cd "$(dirname "$0")/.."
. installer/common.sh

# The oldest Rust that builds us (Cargo.toml says it), and what is installed where there is none.
RUST_MIN=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
DOCKER_WAIT_S=60

rust_is_usable() {
  # Asked in this directory: rustup chooses by directory, and without a default it only complains.
  local version
  version=$(rustc --version 2>/dev/null) && have cargo || return 1
  version_at_least "$(cut -d' ' -f2 <<<"$version")" "$RUST_MIN"
}

rust() {
  export PATH="$HOME/.cargo/bin:$PATH"
  if rust_is_usable; then return; fi
  local by_hand="install Rust $RUST_MIN or newer by hand, so that 'rustc --version' says so, and run this again"
  if ! have rustup; then
    if [ -n "$(candidate rustup)" ]; then
      apt rustup
    else
      say "no Rust $RUST_MIN or newer here, and Debian has none: fetching rustup from https://sh.rustup.rs" \
        "into ~/.cargo and ~/.rustup"
      curl --proto '=https' --tlsv1.2 -sSf --retry 2 --connect-timeout 20 https://sh.rustup.rs \
        | sh -s -- -y -q --no-modify-path --profile minimal --default-toolchain none \
        || die "rustup could not be fetched (see above); $by_hand"
    fi
  fi
  say "installing Rust $RUST_MIN with rustup, for this directory only"
  rustup toolchain install "$RUST_MIN" --profile minimal -c clippy -c rustfmt --no-self-update \
    || die "rustup could not install Rust $RUST_MIN (see above); $by_hand"
  # An override leaves a default that somebody chose for other projects alone.
  rustup override set "$RUST_MIN" 2>/dev/null || true
  rust_is_usable || die "Rust $RUST_MIN was installed but does not answer; $by_hand"
}

tools() {
  apt g++ make pkg-config libclang-dev ca-certificates curl git ccache
  rust
}

build() {
  tools
  installer/rocksdb.sh "${TEPUI_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/tepui}"
}

docker_answers() { docker info >/dev/null 2>&1; }

docker_engine() {
  if have docker && docker_answers; then return; fi
  have dockerd || apt docker.io iptables
  # Later releases of Debian keep the client apart from the engine.
  have docker || apt docker-cli
  if docker_answers; then return; fi
  if [ -S /var/run/docker.sock ] && ! [ -w /var/run/docker.sock ]; then
    die "Docker's socket is not open to $(id -un): run this as root, or join the group of /var/run/docker.sock"
  fi
  local where
  if [ -d /run/systemd/system ]; then
    say "starting Docker (systemctl start docker)"
    where="'journalctl -u docker'"
    as_root systemctl start docker || true
  else
    # No service manager (a container, a CI machine): the engine is started by hand.
    say "starting Docker (dockerd, in the background)"
    where=/var/log/dockerd.log
    as_root sh -c 'nohup setsid dockerd >/var/log/dockerd.log 2>&1 </dev/null &'
  fi
  for _ in $(seq $DOCKER_WAIT_S); do
    if docker_answers; then return; fi
    sleep 1
  done
  if [ -r "$where" ]; then tail -5 "$where" >&2; fi
  die "Docker did not come up in $DOCKER_WAIT_S s; look at $where"
}

demo() {
  apt jq curl bind9-dnsutils
  # The demo's images are made of packages that are downloaded, not installed.
  apt_lists
}

# Clients of the original's API that the tests run as they are published: into the cache, no service starts.
clients() {
  local home="${TEPUI_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/tepui}/clients" wanted=tests/machine/clients/requirements.txt
  if ! cmp -s "$wanted" "$home/requirements.txt"; then
    apt python3-venv
    say "fetching the Python clients that the tests run"
    rm -rf "$home/python"
    /usr/bin/python3 -m venv "$home/python"
    "$home/python/bin/pip" install -q --disable-pip-version-check -r "$wanted" \
      || die "the Python clients could not be fetched; they are listed in $wanted"
    cp "$wanted" "$home/requirements.txt"
  fi
  if ! [ -x "$home/prometheus/usr/bin/prometheus" ]; then
    say "fetching Debian's prometheus for the tests"
    apt_lists
    local package
    package=$(mktemp -d)
    chmod 755 "$package"
    # As a package it would start a service.
    (cd "$package"; apt-get -o APT::Sandbox::User=root download -qq prometheus) || die "Debian's package prometheus could not be fetched"
    dpkg -x "$package"/prometheus_*.deb "$home/prometheus"
    rm -rf "$package"
  fi
}

tests() {
  clients
  apt busybox-static chromium iproute2 procps jq dnsmasq-base unbound shellcheck
}

rig() { apt iproute2 iptables jq faketime openssh-server openssh-client binutils procps; }

[ $# -gt 0 ] || set -- build docker
for part in "$@"; do
  case "$part" in
    tools) tools ;;
    build) build ;;
    docker) docker_engine ;;
    demo) demo ;;
    test) tests ;;
    rig) rig ;;
    *) die "unknown part '$part'; use tools, build, docker, demo, test, rig" ;;
  esac
done
