#!/bin/sh
# Usage: notes.sh VERSION
#
# Prints what CHANGELOG.md says of a version. Fails where it says nothing.
set -eu

version=${1:?which version}
awk -v heading="## $version" '
  /^## / { inside = ($0 == heading || index($0, heading " ") == 1); next }
  inside { print; if (NF) found = 1 }
  END { exit !found }
' "$(dirname "$0")/../CHANGELOG.md" || { echo "CHANGELOG.md says nothing of $version" >&2; exit 1; }
