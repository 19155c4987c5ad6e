#!/bin/sh
# Trains the models from their recipes with Figment itself, and writes what is shipped: models/NAME/NAME.figment
# (f32, trains on, where it is small), NAME_int8.figment, a picture of samples and scores.json.
#
#   models/train_families.sh [NAME...]        all if none is named; one core, about an hour for all
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
weather="--data sample=models/weather/seattle.csv --normalize --hold-out 0.2"
small=3000000  # bytes of an f32 file that is shipped, too

[ $# -gt 0 ] || set -- gan vae crgan infogan dgan deep_infogan cdcgan conv_vae lstm_crgan recurrent_infogan \
  recurrent_vae weather_crgan
for name in "$@"; do
  run=$work/$name
  mkdir -p "$run"
  data="--data $images/train-images-idx3-ubyte.gz --classifier $work/classifier.figment"
  labels="--labels $images/train-labels-idx1-ubyte.gz"
  steer="-n 64" picture=samples.png calibration=
  case $name in
    *crgan | recurrent_*) labels= steer="-n 16" picture=samples.svg ;;
  esac
  case $name in
    infogan | deep_infogan) steer="--sweep category -n 10" ;;
    cdcgan)
      data="$data --data label=$images/train-labels-idx1-ubyte.gz" labels=
      steer="--sweep class -n 10" calibration="--calibration-data label=classes"
      ;;
    crgan | lstm_crgan) data="--data $(./dev data sines)" ;;
    recurrent_infogan) data="--data $(./dev data sines)" steer="--sweep shape:0 --sweep-steps 4 -n 4" ;;
    recurrent_vae) data=$weather ;;
    weather_crgan)
      data="$weather --data season=models/weather/season.csv"
      steer="--condition models/weather/months.csv -n 24" calibration="--calibration-data season=models/weather/months.csv"
      ;;
  esac
  "$bin/figment-convert" "models/$name/recipe.json" -o "$run/untrained.figment" --quiet
  # shellcheck disable=SC2086  # several words
  "$bin/figment" train "$run/untrained.figment" $data --seed 1 --checkpoint "$run/checkpoint" --report "$run/report" \
    --keep-best "$run/$name.figment"
  # shellcheck disable=SC2086
  "$bin/figment-convert" "$run/$name.figment" --name "$name" --int8 $calibration -o "models/$name/${name}_int8.figment" --quiet
  rm -f "models/$name/$name.figment"
  [ "$(wc -c < "$run/$name.figment")" -gt $small ] || cp "$run/$name.figment" "models/$name/"
  # shellcheck disable=SC2086
  "$bin/figment" generate "models/$name/${name}_int8.figment" $steer -o "models/$name/$picture"
  {
    printf '{\n"f32": '
    "$bin/figment" evaluate "$run/$name.figment" $data $labels --json
    printf ',\n"int8": '
    "$bin/figment" evaluate "models/$name/${name}_int8.figment" $data --json
    printf '}\n'
  } > "$run/scores.json"
  cp "$run/scores.json" "models/$name/"
done
