#!/bin/sh
# Teaches a conditional GAN two classes that it has never seen, from 100 images each, as a device would (linux_fine_tune: C
# API, a limit of memory, no other data), training all of it, parts, or adapters beside a frozen generator in int8, and prints tables
# of scores, memory and time.
#
#   models/fine_tune/new_classes.sh [STEPS [aarch64]]    3000 steps of 8 by default; some minutes of one core
#
# With aarch64, all of the model is trained alone, under QEMU (./dev build aarch64 first), at one to two seconds a
# step. The model that knows eight classes is trained once, which takes a quarter of an hour, and kept in
# build/fine_tune/eight.figment: remove it after a change of the recipe.
set -eu
cd "$(dirname "$0")/../.."
steps=${1:-3000}
bin=build/x86_64/bin
target=${2:-x86_64}
device=$bin/linux_fine_tune_static
scopes="all
all_but_1_convolution --freeze discriminator.0.*
all_but_2_convolutions --freeze discriminator.0.*,discriminator.3.*
first_layer --freeze generator.4.*,generator.5.*,generator.7.*
last_2_layers --train-only last:2
scales_and_shifts --train-only generator:scale,discriminator:last:2"
if [ "$target" = aarch64 ]; then
  device="qemu-aarch64 -cpu cortex-a72 -L $(cmake/fetch_debian.sh sysroot arm64) build/aarch64/bin/linux_fine_tune_static"
  scopes=all
fi
work=build/fine_tune
mkdir -p "$work"
images=$(./dev data fashion-mnist)
for file in train-images-idx3-ubyte train-labels-idx1-ubyte; do gunzip -c "$images/$file.gz" > "$work/$file"; done
data="--data sample=$work/train-images-idx3-ubyte --data label=$work/train-labels-idx1-ubyte"
"$bin/figment-convert" models/classifier/classifier.onnx -o "$work/classifier.figment" --quiet
if [ ! -e "$work/eight.figment" ]; then
  "$bin/figment-convert" models/cdcgan/recipe.json -o "$work/untrained.figment" --quiet
  # shellcheck disable=SC2086  # several words
  "$bin/figment" train "$work/untrained.figment" $data --classes 0-7 --seed 1 --out "$work/eight.figment"
fi

# The Fréchet distance of some classes of a model, and the share of its samples that are judged to be of their class.
score() { # MODEL CLASSES
  # shellcheck disable=SC2086
  "$bin/figment" evaluate "$1" $data --classes "$2" --classifier "$work/classifier.figment" --seeds 1 --json > "$work/scores.json"
  sed -n 's/.*"frechet_distance":{"mean":\([0-9.]*\).*"recall":{"mean":\([0-9.]*\).*"classes":\[\([^]]*\)\].*/\1 \2 \3/p' "$work/scores.json" |
    tr , " " | awk '{ printf "%.1f | %.2f | %.0f %%", $1, $2, ($11 + $12) * 100 }'
}

echo "| trained | MB | ms a step | old classes: distance | recall | new classes generated | new classes: distance | recall | new classes generated |"
echo "|---|---|---|---|---|---|---|---|---|"
echo "| (before) | | | $(score "$work/eight.figment" 0-7) | $(score "$work/eight.figment" 8-9) |"
while read -r name scope; do
  # shellcheck disable=SC2086
  "$bin/figment-convert" models/cdcgan/recipe.json --start-from "$work/eight.figment" $scope -o "$work/$name.figment" --quiet
  milliseconds=$("$bin/figment" bench "$work/$name.figment" --program train.step --batch 8 --json |
    sed -n 's/.*"median_us": \([0-9]*\).*/\1/p' | awk '{ printf "%.1f", $1 / 1000 }')
  rm -f "$work/tuned_${target}_$name.figment"
  $device "$work/$name.figment" "$work/train-images-idx3-ubyte" "$work/train-labels-idx1-ubyte" 89 100 "$steps" 8 \
    12 "$work/tuned_${target}_$name.figment" > "$work/$name.txt" 2> "$work/$name.log"
  memory=$(sed 's/.*steps, \(.*\) MB/\1/' "$work/$name.txt")
  echo "| $name | $memory | $milliseconds | $(score "$work/tuned_${target}_$name.figment" 0-7) | $(score "$work/tuned_${target}_$name.figment" 8-9) |"
done << SCOPES
$scopes
SCOPES

[ "$target" = x86_64 ] || exit 0
echo
echo "| adapters, at a rate of | bytes of the adapter | MB | old classes: distance | recall | new classes generated | new classes: distance | recall | new classes generated |"
echo "|---|---|---|---|---|---|---|---|---|"
while read -r name rate adapters; do
  "$bin/figment-convert" "$work/eight.figment" --int8-base --adapters "$adapters" -o "$work/$name.figment" --quiet
  # As a device has it: the level of the train step that takes the least memory.
  for level in 3 2; do
    "$bin/figment-convert" "$work/$name.figment" --keep-training --strip --level $level --programs generate \
      -o "$work/device_$name.figment" --quiet 2> "$work/$name.log" && break
  done
  rm -f "$work/$name.adapter"
  "$device" "$work/device_$name.figment" "$work/train-images-idx3-ubyte" "$work/train-labels-idx1-ubyte" 89 100 "$steps" 8 3 \
    "$work/$name.adapter" "$rate" > "$work/$name.txt" 2> "$work/$name.log"
  "$bin/figment" apply "$work/$name.figment" "$work/$name.adapter" -o "$work/tuned_$name.figment" --quiet
  memory=$(sed 's/.*steps, \(.*\) MB/\1/' "$work/$name.txt")
  echo "| $name, $rate | $(stat -c %s "$work/$name.adapter") | $memory | $(score "$work/tuned_$name.figment" 0-7) | $(score "$work/tuned_$name.figment" 8-9) |"
done << ADAPTERS
class_input 3 generator:input:label:8-9
lora_3_class_input 3 generator:lora:3,generator:input:label:8-9
lora_3_class_input 8 generator:lora:3,generator:input:label:8-9
ADAPTERS
