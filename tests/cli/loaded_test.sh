#!/bin/sh
# loaded_test.sh SYSROOT PROGRAM...: every shared object that a program loads comes from the sysroot. (A host's older
# cpuinfo would be loaded silently, and XNNPACK would then run its slow kernels.)
set -eu
sysroot=$(realpath "$1")
shift
for program in "$@"; do
  objects=$(LD_TRACE_LOADED_OBJECTS=1 "$program" | sed -n 's/.*=> \([^ ]*\) (.*/\1/p')
  echo "$objects" | grep -q libXNNPACK || { echo "loaded_test: $program loads no XNNPACK?" >&2; exit 1; }
  for object in $objects; do
    case $(realpath "$object") in
      "$sysroot"*) ;;
      *) echo "loaded_test: $program loads $object, which is not in $sysroot" >&2; exit 1 ;;
    esac
  done
done
