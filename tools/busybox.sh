#!/bin/sh
# Usage: busybox.sh [FOLDER]
#
# Puts a busybox at FOLDER/bin/busybox (.tools/busybox), for the test that runs the watcher's
# script: Debian's own binary, of a pinned version, without root. Where that version is gone, what
# apt offers; where there is no apt, the busybox on PATH. Does nothing when it has been done.
set -eu

pin='1:1.35.0-4+deb12u1+b1'
here=$(cd "$(dirname "$0")" && pwd)
home=${1:-$here/../.tools/busybox}
binary=$home/bin/busybox

say() { echo "busybox: $*" >&2; }

works() { [ -x "$1" ] && [ "$("$1" echo yes 2>/dev/null)" = yes ]; }

if works "$binary"; then exit 0; fi

mkdir -p "$home"
home=$(cd "$home" && pwd)
work=$(mktemp -d "$home.XXXXXX")
trap 'rm -rf "$work"' EXIT
cd "$work"

if "$here/debian.sh" "$work/tree" "busybox=$pin" && [ -x tree/bin/busybox ]; then
  mkdir -p new/bin
  cp tree/bin/busybox new/bin/
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
