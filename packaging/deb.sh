#!/bin/bash
# Makes a Debian package of an installed tree, with dpkg-deb alone.
#
#   deb.sh TREE DIR        TREE is what `make install DESTDIR=TREE PREFIX=/usr` left; prints the
#                          package, made in DIR
#
# The package depends on the libraries the program is linked to, at the versions of the machine it
# was built on: build on the oldest Debian it is to run on.
set -euo pipefail
tree=${1:?the installed tree} dir=${2:?where the package goes}
here=$(cd "$(dirname "$0")/.." && pwd)
version=$(sed -n 's/^version = "\(.*\)"/\1/p' "$here/Cargo.toml" | head -1)
architecture=$(dpkg --print-architecture)

# The packages of the libraries the program itself names, each with the version that is here.
libraries() {
  objdump -p "$1" | sed -n 's/^ *NEEDED *//p' | while read -r name; do
    file=$(ldd "$1" | awk -v name="$name" '$1 == name { print $3 }')
    [ -n "$file" ] || continue
    # The file is known by its own path or by that before /lib became a link into /usr.
    dpkg-query -S "$file" "${file#/usr}" "/usr$file" 2>/dev/null || true
  done | sed 's/[:,].*//' | sort -u | while read -r package; do
    full=$(dpkg-query -W -f '${Version}' "$package:$architecture")
    # Without epoch and Debian's revision.
    short=${full#*:}
    printf '%s (>= %s), ' "$package" "${short%-*}"
  done
}

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
cp -a "$tree/." "$root/"
mkdir "$root/DEBIAN"

# Debian has its own place for these two.
mkdir -p "$root/usr/share/zsh/vendor-completions" "$root/usr/share/doc/tepui"
mv "$root/usr/share/zsh/site-functions/_tepui" "$root/usr/share/zsh/vendor-completions/"
rmdir "$root/usr/share/zsh/site-functions"
rm -f "$root/usr/share/doc/tepui/LICENSE"
cat >"$root/usr/share/doc/tepui/copyright" <<TEXT
tepui is licensed under the Apache License, version 2.0; on Debian systems its text is in
/usr/share/common-licenses/Apache-2.0.
TEXT

cat >"$root/DEBIAN/control" <<TEXT
Package: tepui
Version: $version
Architecture: $architecture
Section: admin
Priority: optional
Maintainer: tepui developers <developers@tepui.invalid>
Installed-Size: $(du -sk --exclude=DEBIAN "$root" | cut -f1)
Depends: $(libraries "$root/usr/bin/tepui")ca-certificates
Recommends: docker.io | docker-ce
Description: datacenter operating system in one binary
 Runs apps as containers on many machines, gives them names, a front door and
 a page, and speaks the APIs of DC/OS. One program is master, agent, public
 agent and command line; the role is a setting.
TEXT
(cd "$root" && find etc -type f | sed 's|^|/|') >"$root/DEBIAN/conffiles"
for script in postinst prerm postrm; do
  install -m 755 "$here/packaging/deb/$script" "$root/DEBIAN/$script"
done

mkdir -p "$dir"
package="$dir/tepui_${version}_$architecture.deb"
dpkg-deb --root-owner-group --build "$root" "$package" >/dev/null
echo "$package"
