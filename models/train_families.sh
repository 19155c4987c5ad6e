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
small=3000000  # bytes of an f32 file that is shipped, too

[ $# -gt 0 ] || set -- gan vae crgan infogan dgan deep_infogan cdcgan conv_vae recurrent_infogan recurrent_vae weather_crgan
for name in "$@"; do
  run=$work/$name
  mkdir -p "$run"
  images_data="--data $images/train-images-idx3-ubyte.gz --classifier $work/classifier.figment"
  labels="--labels $images/train-labels-idx1-ubyte.gz"
  weather="--data sample=models/weather/seattle.csv --normalize --hold-out 0.2"
  picture=samples.png
  case $name in
    crgan | recurrent_infogan) data="--data $(./dev data sines)" labels= ;;
    recurrent_vae) data=$weather labels= ;;
    weather_crgan) data="$weather --data season=models/weather/season.csv" labels= ;;
    cdcgan) data="$images_data --data label=$images/train-labels-idx1-ubyte.gz" labels= ;;
    *) data=$images_data ;;
  esac
  case $name in
    *infogan) steer="--sweep category -n 10" ;;
    cdcgan) steer="--sweep class -n 10" ;;
    *) steer="-n 64" ;;
  esac
  case $name in
    weather_crgan) steer="--condition models/weather/months.csv -n 24" picture=samples.svg ;;
    recurrent_infogan) steer="--sweep shape:0 --sweep-steps 4 -n 4" picture=samples.svg ;;
    *crgan | recurrent_vae) steer="-n 16" picture=samples.svg ;;
  esac
  calibration=
  case $name in
    cdcgan) calibration="--calibration-data label=classes" ;;
    weather_crgan) calibration="--calibration-data season=models/weather/months.csv" ;;
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
