#!/bin/sh
# Usage: set_loader.sh OBJCOPY LOADER PROGRAM
# Makes a program start by LOADER instead of the sysroot's loader, which no other machine has. The section keeps its size:
# the system reads the name up to its first zero.
set -eu
objcopy=$1 loader=$2 program=$3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$objcopy" --dump-section .interp="$work/old" "$program" "$work/copy"
size=$(wc -c < "$work/old")
[ ${#loader} -lt "$size" ] || exit 0  # it starts by a shorter name already
{ printf %s "$loader"; head -c $((size - ${#loader})) /dev/zero; } > "$work/new"
"$objcopy" --update-section .interp="$work/new" "$program"
