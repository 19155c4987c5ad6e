#!/bin/sh
# Trains the six families from their recipes with Figment itself, and writes what is shipped: models/FAMILY/FAMILY.figment
# (f32, trains on, where it is small), FAMILY_int8.figment, a picture of samples and scores.json.
#
#   models/train_families.sh [FAMILY...]        all if none is named; one core, about 40 minutes for all
#
# Seed 1; of each run the model of the best score is kept. Runs go on from their checkpoints in build/families.
set -eu
cd "$(dirname "$0")/.."
target=x86_64
[ "$(uname -m)" = x86_64 ] || target=system
bin=build/$target/bin
work=build/families
mkdir -p "$work"
images=$(./dev data fashion-mnist)
"$bin/figment-convert" models/classifier/classifier.onnx -o "$work/classifier.figment" --quiet
small=3000000  # bytes of an f32 file that is shipped, too

[ $# -gt 0 ] || set -- gan vae crgan infogan dgan deep_infogan
for name in "$@"; do
  run=$work/$name
  mkdir -p "$run"
  data=$images/train-images-idx3-ubyte.gz
  judge="--classifier $work/classifier.figment"
  labels="--labels $images/train-labels-idx1-ubyte.gz"
  picture=samples.png
  if [ "$name" = crgan ]; then
    data=$(./dev data sines)
    judge= labels= picture=samples.svg
  fi
  "$bin/figment-convert" "models/$name/recipe.json" -o "$run/untrained.figment" --quiet
  # shellcheck disable=SC2086  # several words
  "$bin/figment" train "$run/untrained.figment" --data "$data" --seed 1 --checkpoint "$run/checkpoint" --report "$run/report" \
    --keep-best "$run/$name.figment" $judge
  "$bin/figment-convert" "$run/$name.figment" --name "$name" --int8 -o "models/$name/${name}_int8.figment" --quiet
  rm -f "models/$name/$name.figment"
  [ "$(wc -c < "$run/$name.figment")" -gt $small ] || cp "$run/$name.figment" "models/$name/"
  case $name in
    *infogan) steer="--sweep category -n 10" ;;
    crgan) steer="-n 16" ;;
    *) steer="-n 64" ;;
  esac
  # shellcheck disable=SC2086
  "$bin/figment" generate "models/$name/${name}_int8.figment" $steer -o "models/$name/$picture"
  {
    printf '{\n"f32": '
    "$bin/figment" evaluate "$run/$name.figment" --data "$data" $labels $judge --json
    printf ',\n"int8": '
    "$bin/figment" evaluate "models/$name/${name}_int8.figment" --data "$data" $judge --json
    printf '}\n'
  } > "$run/scores.json"
  cp "$run/scores.json" "models/$name/"
done
