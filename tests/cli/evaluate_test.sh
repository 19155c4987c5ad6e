#!/bin/sh
# Judging models: scores, projections, and classifiers of one's own.
. "$(dirname "$0")/check.sh"
pictures=$data/pictures
i=0; while [ $i -lt 60 ]; do echo "$i,$((i * i % 17))"; i=$((i + 1)); done > "$work/series.csv"
info=$models/tiny_infogan.figment
check "evaluate sequences" 0 "difference of power spectra" $figment evaluate "$models/tiny_crgan.figment" --data "$work/series.csv" --normalize --seeds 2
check "evaluate --json" 0 '"frechet_distance":{"mean"' $figment evaluate "$models/tiny_crgan.figment" --data "$work/series.csv" --normalize --seeds 2 --json
expect "windows of a series are not told apart by a classifier" '! $figment evaluate "$models/tiny_crgan.figment" --data "$work/series.csv" --normalize --seeds 1 | grep -q discriminative'
$figment generate "$models/tiny_crgan.figment" --seed 7 -n 40 -o "$work/sequences.npy"
check "evaluate --json of sequences" 0 '"discriminative":{"mean"' $figment evaluate "$models/tiny_crgan.figment" --data "$work/sequences.npy" --seeds 1 --json
check "evaluate without a sequence that is a condition" 1 "missing: --data season=FILE" $figment evaluate "$(dirname "$0")/../../models/weather_crgan/weather_crgan.figment" --data "$(dirname "$0")/../../models/weather/seattle.csv" --normalize --seeds 1
check "evaluate with it" 0 "power spectra" $figment evaluate "$(dirname "$0")/../../models/weather_crgan/weather_crgan.figment" --data sample="$(dirname "$0")/../../models/weather/seattle.csv" --data season="$(dirname "$0")/../../models/weather/season.csv" --normalize --hold-out 0.1 --seeds 1 --samples 40
$figment generate "$models/tiny_vae.figment" --seed 5 -n 64 -o "$work/real.npy"
check "and judged by" 0 "ELBO" $figment evaluate "$models/tiny_vae.figment" --data "$work/real.npy" --hold-out 0.5 --seeds 1
check "evaluate a VAE" 0 "ELBO in nats" $figment evaluate "$models/tiny_vae.figment" --data "$work/real.npy" --seeds 2
$figment generate "$models/tiny_infogan.figment" -n 40 -o "$work/images.npy"
check "keep the best" 0 "best loss (with beta)" $figment train "$work/tiny_vae.figment" --data "$work/real.npy" --batch 8 --steps 40 --keep-best "$work/best.figment" --out "$work/last.figment"
check "the best is a model" 0 "ELBO" $figment evaluate "$work/best.figment" --data "$work/real.npy" --seeds 1
check "keep the best images without a classifier" 0 "best Fréchet distance of random features" $figment train "$work/tiny_infogan.figment" --data "$work/images.npy" --batch 8 --steps 4 --keep-best "$work/best.figment"
$figment generate "$models/tiny_gan.figment" --class 1 -n 4 -o "$work/made.npy"
check "project by the encoder" 0 "rms error" $figment project "$models/tiny_vae.figment" --data "$work/real.npy" -n 5 -o "$work/latents.npy"
check "project by a search" 0 "rms error" $figment project "$models/tiny_infogan.figment" --data "$work/images.npy" -n 2 --steps 200 --learning-rate 0.1 --prior-weight 0 -o "$work/projected.png" -o "$work/projected.csv" -o "$work/latents.npy"
expect "finds what the model made" '[ "$($figment project "$info" --data "$work/images.npy" -n 2 --steps 200 --learning-rate 0.1 --prior-weight 0 | tail -2 | cut -c 9- | awk "\$1 > 0.05" | wc -l)" = 0 ]'
check "project a sequence" 0 "rms error" $figment project "$models/tiny_crgan.figment" --data "$work/series.csv" --normalize -n 2 --steps 5 -o "$work/projected.svg"
check "project with a class" 0 "rms error" $figment project "$models/tiny_gan.figment" --data "$work/made.npy" -n 2 --steps 5
check "project without a program" 1 "neither an encoder nor" $figment project "$models/dgan.figment" --data "$work/images.npy"
check "evaluate images without a classifier" 0 "Fréchet distance of random features" $figment evaluate "$models/tiny_infogan.figment" --data "$work/images.npy" --seeds 1
check "or by the discriminator" 0 "Fréchet distance of the discriminator" $figment evaluate "$models/tiny_infogan.figment" --data "$work/images.npy" --seeds 1 --features discriminator
check "which changes while it trains" 1 "give --features random" $figment train "$work/tiny_infogan.figment" --data "$work/images.npy" --batch 8 --steps 4 --keep-best "$work/best.figment" --features discriminator
$figment generate "$models/tiny_gan.figment" --class 1 -n 40 -o "$work/ones.npy"
# Real samples of two classes, far apart: two sets of them differ little, since both have as many of each class.
awk 'BEGIN { for (i = 0; i < 40; ++i) { for (j = 0; j < 128; ++j) printf "%s%.3f", j ? "," : "", (i < 12 ? 0.9 : -0.9) + 0.01 * ((i * 7 + j * 3) % 5); printf "\n" } }' > "$work/apart.csv"
awk 'BEGIN { for (i = 0; i < 40; ++i) print i < 12 ? 0 : 1 }' > "$work/apart_labels.csv"
expect "two sets of real samples have the same classes" '[ "$($figment evaluate "$models/tiny_gan.figment" --data "$work/apart.csv" --data label="$work/apart_labels.csv" --features values --seeds 1 --json 2> /dev/null | sed -n "s/.*\"frechet_distance\":{[^}]*\"real\":\([0-9.]*\).*/\1/p" | awk "{ print (\$1 < 0.2) }")" = 1 ]'
check "a condition without data" 0 "no data for the condition label: its classes come in turn" $figment evaluate "$models/tiny_gan.figment" --data "$work/ones.npy" --seeds 1
if [ -n "$convert" ]; then
  "$convert" "$onnx/classifier/classifier.onnx" -o "$work/fashion.figment" -q
  check "a recipe of a classifier" 0 "a classifier of 2 classes. Train it, and score by it" $figment train "$work/tiny_infogan.figment" --data "$pictures" --classifier-recipe "$work/pictures.json"
  "$convert" "$work/pictures.json" -o "$work/untrained.figment" -q
  check "train a classifier" 0 "^40 steps, classifier.loss 0.0" $figment train "$work/untrained.figment" --data "$pictures" --batch 2 --steps 40 --out "$work/own.figment" --report "$work/own"
  check "how often it is right" 0 "accuracy 100.0 % of 2 samples" $figment evaluate "$work/own.figment" --data "$pictures"
  check "score by it" 0 "Fréchet distance of features" $figment evaluate "$models/tiny_infogan.figment" --data "$work/images.npy" --seeds 1 --classifier "$work/own.figment"
  $figment generate "$models/tiny_infogan.figment" -n 24 -o "$work/some.npy"
  awk 'BEGIN { for (i = 0; i < 24; ++i) print i % 3 }' > "$work/some.csv"
  (cd "$work" && $figment train "$work/tiny_infogan.figment" --data some.npy --labels some.csv --classifier-recipe some.json | tail -n +2 > commands)
  expect "the commands that it says work" '[ "$(wc -l < "$work/commands")" = 4 ] && (cd "$work" && PATH="$bin:$PATH" sh -e commands > commands.out 2>&1) || { cat "$work/commands" "$work/commands.out"; false; }'
  check "quantize a classifier without examples" 1 "int8 needs examples of its inputs" "$convert" "$work/own.figment" --int8 -o "$work/x.figment"
  check "evaluate with a classifier of another size" 1 "takes images of 784 values, the model makes 36: train one for such images" $figment evaluate "$models/tiny_infogan.figment" --data "$work/images.npy" --seeds 1 --classifier "$work/fashion.figment"
fi
summary
