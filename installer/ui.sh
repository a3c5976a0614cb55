#!/bin/bash
# Builds the web page from its lock file when its sources are newer than the result.
#
# Without a usable Node nothing fails: the program then carries a page that names the command line
# and says what is missing.
set -euo pipefail
cd "$(dirname "$0")/../ui"

NODE_MIN=20

say() { printf 'ui: %s\n' "$*" >&2; }

node_major() { node --version 2>/dev/null | sed 's/^v\([0-9]*\).*/\1/'; }

if [ -e dist/index.html.gz ] && [ -z "$(find . -path ./node_modules -prune -o -path ./dist -prune \
    -o -type f -newer dist/index.html.gz -print | head -1)" ]; then
  exit 0
fi
major=$(node_major || true)
if [ -z "$major" ] || [ "$major" -lt "$NODE_MIN" ] || ! command -v npm >/dev/null; then
  candidate=$(apt-cache policy nodejs 2>/dev/null | sed -n 's/.*Candidate: \([0-9]*\).*/\1/p')
  if [ -z "$major" ] && [ "${candidate:-0}" -ge "$NODE_MIN" ] && [ "$(id -u)" = 0 ]; then
    say "installing Debian packages: nodejs npm"
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends nodejs npm >/dev/null
  else
    say "no Node $NODE_MIN or newer here: building without the web page (the command line has it all)"
    exit 0
  fi
fi
if ! { npm ci --no-audit --no-fund --silent && npm run build --silent; }; then
  say "the page could not be built; building without it"
  rm -rf dist
  [ -z "${CI:-}" ] || exit 1
fi
