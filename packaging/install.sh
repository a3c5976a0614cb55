#!/bin/sh
# Puts a built tepui in place: the program, its systemd unit, default settings, shell completions.
#
#   install.sh PROGRAM PREFIX [DESTDIR]
#
# Settings that are there already are kept. Nothing is enabled or started: the role comes first.
# (installer/install.sh does the whole of a machine, and goes by what this puts.)
set -eu
program=${1:?the built program} prefix=${2:?the prefix, as /usr/local} dest=${3:-}
here=$(cd "$(dirname "$0")/.." && pwd)

# put MODE SOURCE TARGET: SOURCE may be - for standard input.
put() {
  if [ "$2" = - ]; then install -D -m "$1" /dev/stdin "$dest$3"; else install -D -m "$1" "$2" "$dest$3"; fi
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
