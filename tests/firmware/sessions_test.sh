#!/bin/sh
# Models run and train to the same bits elsewhere, as on a Cortex-M, as on the machine of the tests. Arguments: the emulator, the program
# for it, the same program for this machine, run or train, the folder of converted models, and that of the shipped ones.
set -eu
qemu=$1
firmware=$2
host=$3
command=$4
converted=$5
shipped=$6

# What figment-convert says of it in the headers of embedded models (converter/write/embed_c.cpp).
stack=4096
case $command in
  run)
    batches="1 3"
    models="$converted/dgan_int8.figment $converted/conv_vae_int8.figment $converted/dcgan_int8.figment
      $converted/dgan.figment $converted/conv_vae.figment $shipped/crgan/crgan_int8.figment
      $shipped/lstm_crgan/lstm_crgan_int8.figment $shipped/cdcgan/cdcgan_int8.figment"
    ;;
  train)
    batches=4
    models=$(ls "$converted"/tiny_*.figment)
    ;;
esac
# Arguments of a bare-metal program are the emulator's.
run_there() {
  case $qemu in
    *qemu-system*)
      $qemu "$firmware" -chardev stdio,id=console \
        -semihosting-config "enable=on,target=native,chardev=console,arg=sessions,arg=$command,arg=$1,arg=$2" < /dev/null
      ;;
    *) $qemu "$firmware" "$command" "$1" "$2" ;;
  esac
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0
for model in $models; do
  for batch in $batches; do
    expected=$("$host" "$command" "$model" "$batch" | grep -v '^#')
    # What is measured is shown, and left out of the comparison.
    output=$(run_there "$model" "$batch") ||
      { echo "$(basename "$model"), batch $batch: $output" >&2; failed=1; continue; }
    if [ "$(echo "$output" | grep -v '^#')" != "$expected" ]; then
      printf '%s, batch %s: expected\n%s\nand got\n%s\n' "$(basename "$model")" "$batch" "$expected" "$output" >&2
      failed=1
    fi
    deepest=$(echo "$output" | sed -n 's/^# .* stack //p' | sort -n | tail -1)
    if [ "$deepest" -gt "$stack" ]; then
      echo "$(basename "$model"), batch $batch: $deepest bytes of stack are more than $stack" >&2
      failed=1
    fi
    echo "$(basename "$model"), batch $batch: $(echo "$output" | sed -n 's/^# //p' | tr '\n' ',' | sed 's/,$//; s/,/, /g')"
  done
done
# Errors on bare metal are numbers that the program for this machine explains.
case $command$qemu in
  run*qemu-system*)
    head -c 100 "$converted/dgan_int8.figment" > "$work/broken.figment"
    message=$(run_there "$work/broken.figment" 1 | sed -n 's/.*figment explain //p')
    # shellcheck disable=SC2086  # several numbers
    explained=$("$(dirname "$host")/figment" explain $message)
    case $explained in
      "bad file: truncated: the header needs "*" bytes, the file has 96") ;;
      *) echo "error $message is explained as: $explained" >&2; failed=1 ;;
    esac
    ;;
esac
exit $failed
