#!/bin/bash
# Installs a built tepui: the program, its systemd unit, default settings and shell completions.
#
#   install.sh PROGRAM PREFIX [DESTDIR]
#
# Settings that are there already are kept. Nothing is enabled or started: the role comes first.
set -euo pipefail
program=${1:?the built program} prefix=${2:?the prefix, as /usr/local} dest=${3:-}
here=$(cd "$(dirname "$0")/.." && pwd)

# put MODE SOURCE TARGET: SOURCE may be - for standard input.
put() {
  local source=$2
  [ "$source" != - ] || source=/dev/stdin
  install -D -m "$1" "$source" "$dest$3"
}

# put_settings MODE SOURCE TARGET: only where there is none.
put_settings() { [ -e "$dest$3" ] || put "$@"; }

put 755 "$program" "$prefix/bin/tepui"
sed "s|/usr/bin/|$prefix/bin/|; s|/usr/share/|$prefix/share/|" "$here/packaging/tepui.service" \
  | put 644 - "$prefix/lib/systemd/system/tepui.service"
put_settings 644 "$here/config/tepui.yaml" /etc/tepui/tepui.yaml
# It may hold a join token.
put_settings 600 "$here/packaging/tepui.default" /etc/default/tepui

"$program" completions bash | put 644 - "$prefix/share/bash-completion/completions/tepui"
"$program" completions zsh | put 644 - "$prefix/share/zsh/site-functions/_tepui"
"$program" completions fish | put 644 - "$prefix/share/fish/vendor_completions.d/tepui.fish"

put 644 "$here/packaging/README.md" "$prefix/share/doc/tepui/README.md"
put 644 "$here/LICENSE" "$prefix/share/doc/tepui/LICENSE"
