#!/bin/sh
# Training from the models that the x86-64 build converts, on every target.
. "$(dirname "$0")/check.sh"
$figment generate "$models/dcgan_int8.figment" -n 4 -o "$work/a.npy"
$figment generate "$models/tiny_vae.figment" --seed 1 -n 40 -o "$work/vae.npy"
train="$figment train $work/tiny_vae.figment --data $work/vae.npy --batch 8 --seed 3"
check "train in one go" 0 "^12 steps" $train --steps 12 --out "$work/straight.figment" --report "$work/straight"
check "train with checkpoints" 0 "^5 steps" $train --steps 5 --checkpoint "$work/run" --checkpoint-every 2 --report "$work/resumed"
check "go on from the checkpoint" 0 "^12 steps" $train --steps 12 --checkpoint "$work/run" --out "$work/resumed.figment" --report "$work/resumed"
expect "a resumed run gives the same model" 'cmp -s "$work/straight.figment" "$work/resumed.figment"'
expect "and the same losses" 'cmp -s "$work/straight/losses.csv" "$work/resumed/losses.csv"'
check "a run that names no file says where its model will be" 0 "the trained model is $work/tiny_vae.trained.figment" \
  $train --steps 3
check "and overwrites none" 0 "the trained model will be $work/tiny_vae.trained.2.figment" $train --steps 3
expect "both are models" 'cmp -s "$work/tiny_vae.trained.figment" "$work/tiny_vae.trained.2.figment"'
$train --steps 250 --out "$work/x.figment" > "$work/lines"
expect "a line each 100 steps" '[ "$(grep -c "^step [12]00/250  [0-9.e]* it/s  0*:*00:0[0-9] left  loss [0-9.]*  lr [0-9.e-]*" "$work/lines")" = 2 ]'
$train --steps 250 --out "$work/x.figment" --json > "$work/lines"
expect "as JSON" '[ "$(grep -c "^{\"step\":[12]00,\"steps\":250,.*\"metrics\":{\"vae.loss\":" "$work/lines")" = 2 ] && tail -1 "$work/lines" | grep -q "^{\"done\":true,\"step\":250,"'
$train --steps 9 --out "$work/x.figment" --keep-best "$work/best.figment" --score-every 3 --report "$work/scored" --json > "$work/lines"
expect "scores as JSON" '[ "$(grep -c "^{\"step\":[369],\"score\":{\"name\":\"loss (with beta)\",\"value\":[0-9.]*}}" "$work/lines")" = 3 ]'
expect "and in the report" '[ "$(sed -n "s/^\([369]\),[0-9.]*$/\1/p" "$work/scored/scores.csv" | tr -d "\n")" = 369 ]'
in_terminal "$train --steps 250 --out $work/x.figment" > "$work/lines"
expect "one line that fits, on a terminal" 'grep -q "step 250/250 .* left  loss" "$work/lines" && ! grep -q "^step.\{77\}" "$work/lines"'
( $train --steps 100000000 --out "$work/x.figment" --report "$work/growing" > /dev/null 2>&1; true ) &
for wait in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30; do [ -s "$work/growing/losses.csv" ] || sleep 1; done
expect "losses can be looked at while it trains" '[ "$(wc -l < "$work/growing/losses.csv")" -gt 2 ]'
pkill -TERM -f "$work/growing"; wait
expect "and a run that is interrupted keeps them" 'tail -1 "$work/growing/losses.csv" | grep -q "^[0-9]*,[-0-9.]*," && [ -e "$work/growing/losses.svg" ] && [ -e "$work/x.figment" ]'
check "a run that is over" 0 "is finished, with 12 of 12 steps" $train --steps 12 --checkpoint "$work/run"
$figment parameters "$models/tiny_vae.figment" --checkpoint "$work/run" -o "$work/p12" > "$work/out"
check "a resumed run with another learning rate" 0 "resumed from step 12" $train --steps 13 --checkpoint "$work/run" --set vae.learning_rate=0
check "a hyperparameter that is not there" 1 "for one of vae.learning_rate" $train --steps 14 --checkpoint "$work/run" --set rate=1
check "a checkpoint of another run" 1 "give the same, or another folder" $figment train "$work/tiny_vae.figment" --data "$work/vae.npy" --batch 4 --steps 12 --checkpoint "$work/run"
check "a checkpoint of another model" 1 "another model" $figment parameters "$models/tiny_infogan.figment" --checkpoint "$work/run" -o "$work/p"
check "parameters" 0 "parameters written" $figment parameters "$models/tiny_vae.figment" --checkpoint "$work/run" -o "$work/p"
expect "without a learning rate nothing is learned" 'cmp -s "$work/p12/encoder.0.weight.npy" "$work/p/encoder.0.weight.npy"'
expect "with the optimizer's state" '[ -e "$work/p/encoder.0.weight.adam_m.npy" ]'
check "load parameters" 0 "parameters loaded" $figment parameters "$models/tiny_vae.figment" --load "$work/p" --out "$work/loaded.figment"
check "loaded values that go nowhere" 1 "give --out FILE" $figment parameters "$models/tiny_vae.figment" --load "$work/p"
cp "$work/p/encoder.0.weight.npy" "$work/p/encoder.9.weight.npy"
check "a file of no parameter" 1 "encoder.9.weight.npy: the model has no parameter of that name; " \
  $figment parameters "$models/tiny_vae.figment" --load "$work/p" --out "$work/x.figment"
rm "$work/p/encoder.9.weight.npy"
check "write them again" 0 "" $figment parameters "$work/loaded.figment" -o "$work/p2"
expect "they are the same" 'cmp -s "$work/p/encoder.0.weight.npy" "$work/p2/encoder.0.weight.npy"'
total=$($figment inspect "$models/tiny_crgan.figment" --batch 64 --json | sed -n 's/.*"total": \([0-9]*\).*/\1/p')
$figment generate "$models/tiny_crgan.figment" --seed 1 -n 64 -o "$work/sequences.npy"
check "train in less memory" 0 "^3 steps" $figment train "$work/tiny_crgan.figment" --data "$work/sequences.npy" --batch 64 --steps 3 --memory-limit $((total - 1))
check "train in too little" 1 "needs \(at least \)\?[0-9]* bytes" $train --steps 3 --memory-limit 10K
for signal in 15 1; do  # TERM and HUP
  ( $train --steps 100000000 --checkpoint "$work/signal$signal" --checkpoint-every 20 > "$work/signal.out" 2>&1; echo $? > "$work/signal.status" ) &
  for wait in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do [ -e "$work/signal$signal" ] || sleep 1; done
  pkill -$signal -f "$work/signal$signal" && wait
  expect "signal $signal ends a run in order" '[ "$(cat "$work/signal.status")" = $((128 + signal)) ] && grep -q "rerun the command to resume" "$work/signal.out" && ls "$work/signal$signal/" | grep -q checkpoint'
done
check "no steps" 105 "leave it out for the recipe's" $figment train "$work/tiny_vae.figment" --data "$work/a.npy" --steps 0
check "a length to train with" 109 "there is no option --length" $figment train "$work/tiny_vae.figment" --data "$work/x.npy" --length 5
mkdir "$work/folder"
check "a folder in place of a file" 1 "is a folder: name a file in it" $train --steps 1 --out "$work/folder"
check "a file that is no model" 1 "is there, and no Figment model" $train --steps 1 --out "$work/vae.npy"
check "a device" 1 "is there, and no Figment model" $train --steps 1 --out /dev/null
check "a name that is too long" 1 "cannot write" $train --steps 1 --out "$work/$(printf '%300s' x | tr ' ' x).figment"
check "a checkpoint folder that cannot be made" 1 "cannot make the folder" $train --steps 1 --checkpoint /proc/none/run
check "a hyperparameter that is no number" 1 "abc is no number" $train --steps 1 --set vae.learning_rate=abc
( $train --steps 100000000 --checkpoint "$work/locked" > /dev/null 2>&1; true ) &
for wait in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do [ -e "$work/locked" ] || sleep 1; done
sleep 1
check "two runs in one folder" 1 "another run writes its checkpoints there" $train --steps 1 --checkpoint "$work/locked"
pkill -TERM -f "$work/locked"; wait
# Two runs that name no file.
rm -f "$work"/tiny_vae.trained*
( $train --steps 3 > "$work/first.out" 2>&1 ) & $train --steps 3 > "$work/second.out" 2>&1; wait
expect "leave two models" '[ "$(ls "$work"/tiny_vae.trained*.figment | wc -l)" = 2 ] || { ls "$work"; cat "$work/first.out" "$work/second.out"; false; }'
summary
