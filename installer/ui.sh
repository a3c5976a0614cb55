#!/bin/bash
# Builds the web page from its lock file when its sources are newer than the result.
#
# Without a usable Node nothing fails: ui/dist is then empty, and the program carries a page that
# names the command line and says what is missing. Only CI (CI=true) insists on the page.
set -euo pipefail
self=ui
cd "$(dirname "$0")/../ui"
. ../installer/common.sh

without() {
  say "$1; building tepui without its page, all else works from the command line"
  # A page older than its sources would speak to an API it does not know.
  rm -rf dist
  [ -z "${CI:-}" ] || exit 1
  exit 0
}

newer_than() {
  find . -path ./node_modules -prune -o -name dist -prune -o -type f -newer "$1" -print | head -1
}

if [ -e dist/index.html.gz ] && [ -z "$(newer_than dist/index.html.gz)" ]; then exit 0; fi
bin=$(../installer/node.sh) || without "no usable Node"
export PATH="$bin:$PATH"
if [ package-lock.json -nt node_modules/.package-lock.json ]; then
  say "fetching the page's packages (npm ci)"
  npm ci --include=dev --no-audit --no-fund --silent || without "the page's packages could not be fetched"
fi
say "building the page"
npm run build --silent >&2 || without "the page could not be built"
