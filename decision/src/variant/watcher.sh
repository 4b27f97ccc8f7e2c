# Keeps its task alive until all of $WORKERS have stopped; then exits 0, which ends the task. An
# answer that fails or is cut short says nothing: we ask again. A worker that is not listed counts
# as gone after $GRACE seconds of answers without it. (`timeout`, as not every build has `wget -T`.)
# It exits 69 where it could only wait for ever: at once without its tools or an address to ask, and
# after $DEAF seconds without an answer.
POLL=${POLL:-5} GRACE=${GRACE:-900} DEAF=${DEAF:-3600} missing=0 deaf=0

give_up() { echo "watcher: $1" >&2; exit 69; }

for tool in awk timeout wget; do
  command -v "$tool" >/dev/null || give_up "the image has no $tool"
done
[ "$ECS_CONTAINER_METADATA_URI_V4" ] || give_up "ECS_CONTAINER_METADATA_URI_V4 is not set"

ask() { timeout 5 wget -qO- "$ECS_CONTAINER_METADATA_URI_V4/task"; }

# Prints how many workers run and how many are not listed; nothing, unless the JSON is whole.
# Records end at quotes, so they are by turns structure and string.
count() {
  awk -v RS='"' -v workers="$WORKERS" '
    function in_container() { return nest == "{[{" && key[1] == "Containers" }

    in_string {
      text = text $0
      if (match($0, /\\+$/) && RLENGTH % 2) text = text RS # an escaped quote: it goes on
      else in_string = 0
      next
    }
    {
      for (i = 1; i <= length($0); i++) {
        c = substr($0, i, 1)
        if (index(" \t\r\n", c)) continue
        if (nest == "" && (c != "{" || roots++)) broken = 1
        if (c == ":") key[length(nest)] = text
        if (index(",}", c) && in_container()) own[key[3]] = text
        if (c == "}" && in_container()) {
          containers++
          listed[own["Name"]]
          if (own["KnownStatus"] != "STOPPED") running[own["Name"]]
        }
        if (index("}]", c)) {
          pair = substr(nest, length(nest)) c
          if (pair != "{}" && pair != "[]") broken = 1
          nest = substr(nest, 1, length(nest) - 1)
        }
        if (index("{[", c)) nest = nest c
        if (c == "{" && in_container()) split("", own)
        text = ""
      }
      in_string = 1
    }
    END {
      if (!containers || nest != "" || broken) exit
      for (n = split(workers, worker, " "); n; n--)
        if (worker[n] in running) up++
        else if (!(worker[n] in listed)) absent++
      print up + 0, absent + 0
    }'
}

while :; do
  set -- $(ask | count)
  [ "$1" ] && deaf=0 || deaf=$((deaf + POLL))
  [ "$deaf" -gt "$DEAF" ] && give_up "no answer from $ECS_CONTAINER_METADATA_URI_V4"
  case $1,$2 in
    ,) ;;
    0,0) exit 0 ;;
    *,0) missing=0 ;;
    *)
      [ "$1" = 0 ] && [ "$missing" -ge "$GRACE" ] && exit 0
      missing=$((missing + POLL)) ;;
  esac
  sleep "$POLL"
done
