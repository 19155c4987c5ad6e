#!/bin/sh
# What a Cortex-M learns as normal is what this machine learns, and finds faults before and after the machine has changed. Arguments: the
# emulator, the program for it, the same program for this machine.
set -eu
qemu=$1
firmware=$2
host=$3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fail() { echo "anomaly_test: $*" >&2; exit 1; }

mkdir "$work/there" "$work/here"
(cd "$work/there" && $qemu "$firmware" -chardev stdio,id=console -semihosting-config enable=on,target=native,chardev=console < /dev/null) \
  > "$work/there/text" || fail "the firmware fails"
(cd "$work/here" && "$host" > text) || fail "the program for this machine fails"
cat "$work/there/text"
# The last line is measured.
for folder in there here; do sed '$d' "$work/$folder/text" > "$work/$folder/areas"; done
for file in areas learned.csv drifted.csv learned_on.csv; do
  cmp "$work/there/$file" "$work/here/$file" || fail "$file is another"
done
stack=$(sed -n 's/.*stack: \(.*\) bytes/\1/p' "$work/there/text")
[ "$stack" -le 4096 ] || fail "$stack bytes of stack are more than 4096"
area() { sed -n "s/^$1: area under ROC \([0-9]*\) .*/\1/p" "$work/there/text"; }
[ "$(area learned)" -ge 85 ] || fail "the area is below 0.85"
[ "$(area "learned on")" -ge 85 ] || fail "the area after the drift is below 0.85"
[ "$(area drifted)" -lt 75 ] || fail "what drifted is as good as what was learned: the example shows nothing"
