#!/bin/bash
# Copies the programs that cargo's messages on the input name: the next build has the same names.
#
#   cargo build --message-format=json… | keep.sh DIR
set -euo pipefail
jq -r 'select(.reason == "compiler-artifact" and .executable != null) | "\(.target.name) \(.executable)"' \
  | while read -r name program; do cp "$program" "$1/$name"; done
test -x "$1/tepui" && test -x "$1/mixed"
