#!/bin/sh
# Checkpoints in flash survive power cuts. Arguments: the emulator ("": this machine runs it), the program, and the folder of converted
# models.
set -eu
qemu=$1
firmware=$2
converted=$3
for model in "$converted"/tiny_gan.figment "$converted"/tiny_crgan.figment; do
  case $qemu in
    # Arguments of a bare-metal program are the emulator's.
    *qemu-system*)
      output=$($qemu "$firmware" -chardev stdio,id=console \
        -semihosting-config "enable=on,target=native,chardev=console,arg=checkpoints,arg=$model" < /dev/null)
      ;;
    *) output=$($qemu "$firmware" "$model") ;;
  esac || { echo "$(basename "$model"): $output" >&2; exit 1; }
  echo "$output" | sed "s/^/$(basename "$model"): /"
  case $output in *"saved and loaded") ;; *) exit 1 ;; esac
  # As of sessions that train (sessions_test.sh).
  [ "$(echo "$output" | sed -n 's/^# save stack //p')" -le 4096 ]
done
