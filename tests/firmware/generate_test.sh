#!/bin/sh
# The images of the example are the same bytes on a Cortex-M and on this machine. Arguments: the emulator, the program for
# it, the same program for this machine.
set -eu
qemu=$1
firmware=$2
host=$3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fail() { echo "generate_test: $*" >&2; exit 1; }

mkdir -p "$work/there/samples" "$work/here/samples"
(cd "$work/there" && $qemu "$firmware" -chardev stdio,id=console -semihosting-config enable=on,target=native,chardev=console < /dev/null) ||
  fail "the firmware fails"
(cd "$work/here" && "$host" > /dev/null) || fail "the program for this machine fails"
for number in 0 1 2 3; do
  cmp "$work/there/samples/$number.pgm" "$work/here/samples/$number.pgm" || fail "image $number is another"
done
if cmp -s "$work/here/samples/0.pgm" "$work/here/samples/1.pgm"; then fail "all images are the same"; fi
# Without a folder to write to, it says so.
mkdir "$work/nowhere"
if output=$(cd "$work/nowhere" && $qemu "$firmware" -chardev stdio,id=console -semihosting-config enable=on,target=native,chardev=console < /dev/null); then
  fail "it writes where it cannot"
fi
case $output in *"cannot write"*) ;; *) fail "without a folder it says: $output" ;; esac
