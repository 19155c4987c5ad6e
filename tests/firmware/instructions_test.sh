#!/bin/sh
# What `figment inspect --target` says of instructions is what a Cortex-M takes, within 5 %. Arguments: the emulator, the program for it,
# the core, the folder of figment and figment-convert, that of converted models, and the project's.
set -eu
qemu=$1
firmware=$2
core=$3
bin=$4
converted=$5
project=$6
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0

measure() {
  $qemu "$firmware" -chardev stdio,id=console \
    -semihosting-config "enable=on,target=native,chardev=console,arg=sessions,arg=$1,arg=$2,arg=$3" < /dev/null > "$work/measured"
}
# compare MODEL WHAT MEASURED EXPECTED
compare() {
  off=$(((1000 * $4 / $3) - 1000))
  echo "$(basename "$1"), $2: $3 instructions, off by $off per mille"
  if [ $off -gt 50 ] || [ $off -lt -50 ]; then
    echo "$(basename "$1"), $2: inspect --target says $4, and $3 are taken" >&2
    failed=1
  fi
}

for model in "$project/models/gan/gan_int8.figment" "$converted/conv_vae_int8.figment" "$converted/dcgan_int8.figment" \
  "$converted/dgan_int8.figment" "$project/models/crgan/crgan_int8.figment" "$project/models/lstm_crgan/lstm_crgan_int8.figment" \
  "$project/models/cdcgan/cdcgan_int8.figment"; do
  measure run "$model" 1
  "$bin/figment" inspect "$model" --target "$core" --json > "$work/expected"
  programs=$(sed -n 's/^\([a-z]*\)$/\1/p' "$work/measured")
  [ -n "$programs" ] || { echo "$(basename "$model"): no program ran" >&2; failed=1; }
  for program in $programs; do
    measured=$(sed -n "/^$program$/,/run instructions/s/^# run instructions //p" "$work/measured")
    expected=$(sed -n "/\"name\": \"$program\"/,/\"instructions\"/s/.*\"instructions\": \([0-9]*\).*/\1/p" "$work/expected")
    compare "$model" "$program" "$measured" "$expected"
  done
done

# Without an FPU, what a product takes depends on its factors.
[ "$core" = cortex_m3 ] && exit $failed
examples=$project/firmware_examples
"$bin/figment-convert" "$examples/cortex_m_fine_tune/recipe.json" --start-from "$examples/cortex_m_fine_tune/clothes.figment" \
  --freeze generator.0.weight -o "$work/clothes.figment" -q
"$bin/figment-convert" "$examples/cortex_m_anomaly/recipe.json" -o "$work/vibration.figment" -q
for model in "$work/clothes.figment" "$work/vibration.figment" "$converted/tiny_vae.figment" "$converted/tiny_crgan.figment"; do
  measure train "$model" 8
  "$bin/figment" inspect "$model" --target "$core" --batch 8 --json > "$work/expected"
  measured=$(sed -n 's/^# step instructions //p' "$work/measured")
  expected=$(sed -n '/"training"/,/"budgets"/s/.*"instructions": \([0-9]*\).*/\1/p' "$work/expected")
  compare "$model" "a train step" "$measured" "$expected"
done
exit $failed
