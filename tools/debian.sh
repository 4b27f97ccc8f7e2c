#!/bin/sh
# Usage: debian.sh FOLDER PACKAGE=VERSION[|OTHER]...
#
# Unpacks Debian's packages into FOLDER, without root: of the pinned versions, or, where one is gone, what
# apt offers of that name, or of the OTHER name that Ubuntu has for it. Fails where there is no apt, and leaves FOLDER as it was.
set -eu

say() { echo "debian: $*" >&2; }

if ! command -v apt-get >/dev/null || ! command -v dpkg >/dev/null; then
  say 'there is no apt here'
  exit 1
fi

mkdir -p "$(dirname "$1")"
folder=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
shift
work=$(mktemp -d "$folder.XXXXXX")
trap 'rm -rf "$work"' EXIT
cd "$work"

# A fresh machine has no package lists yet, and only root can fetch them.
update() {
  [ -e updated ] || [ "$(id -u)" != 0 ] || apt-get -q update >/dev/null 2>&1 || true
  touch updated
}

download() { apt-get -q download "$1" >log 2>&1; }

for asked in "$@"; do
  pin=${asked%%|*}
  name=${pin%%=*}
  other=${asked#"$pin"}
  other=${other#|}
  if download "$pin" || { update && download "$pin"; }; then
    :
  elif download "$name"; then
    say "apt no longer offers $pin: took $(dpkg-deb -f "${name}"_*.deb Version) instead"
  elif [ -n "$other" ] && download "$other"; then
    say "apt offers no $name: took $other instead"
  else
    say "apt offers no $name (has \`apt-get update\` been run?):"
    cat log >&2
    exit 1
  fi
done

for package in *.deb; do dpkg -x "$package" tree; done
rm -rf "$folder"
mv tree "$folder"
