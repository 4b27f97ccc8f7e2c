#!/bin/sh
# Usage: busybox.sh [FOLDER]
#
# Puts a busybox at FOLDER/bin/busybox (.tools/busybox), for the test that runs the watcher's
# script: Debian's own binary, of a pinned version, without root. Where that version is gone, what
# apt offers; where there is no apt, the busybox on PATH. Does nothing when it has been done.
set -eu

pin='1:1.35.0-4+deb12u1+b1'
home=${1:-$(cd "$(dirname "$0")/.." && pwd)/.tools/busybox}
binary=$home/bin/busybox

say() { echo "busybox: $*" >&2; }

works() { [ -x "$1" ] && [ "$("$1" echo yes 2>/dev/null)" = yes ]; }

# download [=VERSION]: into the current folder
download() { apt-get -q download "busybox$1" >log 2>&1; }

if works "$binary"; then exit 0; fi

mkdir -p "$home"
home=$(cd "$home" && pwd)
work=$(mktemp -d "$home.XXXXXX")
trap 'rm -rf "$work"' EXIT
cd "$work"

if command -v apt-get >/dev/null && command -v dpkg >/dev/null; then
  # A fresh machine has no package lists yet, and only root can fetch them.
  download "=$pin" || [ "$(id -u)" != 0 ] || apt-get -q update >/dev/null
  if download "=$pin"; then
    :
  elif download ''; then
    say "apt no longer offers $pin: took $(dpkg-deb -f busybox_*.deb Version) instead"
  else
    say "apt offers none (has \`apt-get update\` been run?):"
    cat log >&2
  fi
fi

if ls busybox_*.deb >/dev/null 2>&1; then
  dpkg -x busybox_*.deb tree
  mkdir -p new/bin
  find tree -type f -path '*/bin/busybox' -exec cp {} new/bin/ \;
elif found=$(command -v busybox); then
  say "took $found, as there is no Debian package to be had"
  mkdir -p new/bin
  ln -s "$found" new/bin/busybox
else
  say "there is none: install it (its package is called busybox everywhere), or set BUSYBOX"
  exit 1
fi

works new/bin/busybox || { say "the one that was found does not run here"; exit 1; }
rm -rf "$home"
mv new "$home"
say "$("$home/bin/busybox" | head -n 1)"
