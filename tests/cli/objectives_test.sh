#!/bin/sh
# Models that train, from ONNX files and from recipes.
. "$(dirname "$0")/check.sh"
printf 'hello' > "$work/broken"
$figment generate "$models/dcgan_int8.figment" -n 4 -o "$work/a.npy"
training=$data/training/dense_gan
check "convert for training" 0 "sigmoid is left out of training" "$convert" --objective gan --generator "$training/generator.onnx" \
  --discriminator "$training/discriminator.onnx" -o "$work/gan.figment"
check "an objective without its network" 1 "needs --discriminator" "$convert" --objective gan \
  --generator "$training/generator.onnx" -o "$work/x.figment"
check "a word that is none of an option's" 105 "wgan not in {non-saturating,hinge,least-squares,wasserstein}" "$convert" \
  --gan-loss wgan "$training/generator.onnx"
check "training with int8" 1 "after training" "$convert" --objective gan --generator "$training/generator.onnx" \
  --discriminator "$training/discriminator.onnx" --int8 -o "$work/x.figment"
check "inspect its objective" 0 "objective: gan, loss non-saturating" $figment inspect "$work/gan.figment"
check "inspect a model that trains" 0 "adam_update" $figment inspect "$work/gan.figment"
check "bench a model that trains" 0 "train.step" $figment bench "$work/gan.figment" --batch 4 --seconds 0.01
$figment generate "$work/gan.figment" --seed 1 -n 40 -o "$work/samples.npy"
check "train" 0 "^12 steps, d.loss" $figment train "$work/gan.figment" --data "$work/samples.npy" --steps 12 --batch 8 \
  --out "$work/trained.figment" --report "$work/report" --pictures-every 5
expect "the losses of all steps are written" '[ "$(wc -l < "$work/report/losses.csv")" = 13 ] && grep -q "</svg>" "$work/report/losses.svg"'
check "train again" 0 "" $figment train "$work/gan.figment" --data "$work/samples.npy" --steps 12 --batch 8 --threads 2 \
  --out "$work/again.figment"
expect "the same seed gives the same model, on any number of threads" 'cmp -s "$work/trained.figment" "$work/again.figment"'
expect "training changes the model" '! cmp -s "$work/gan.figment" "$work/trained.figment"'
check "generate with the trained model" 0 "" $figment generate "$work/trained.figment" -n 4 -o "$work/d.npy"
check "a model that does not train" 1 "does not train\|no program train.step" $figment train "$models/dgan.figment" --data "$work/samples.npy"
check "data of another shape" 1 "samples of \[1, 28, 28\]; input image takes samples of \[12\]" $figment train "$work/gan.figment" --data "$work/a.npy"
check "train an int8 model" 1 "train the f32 model that it was made of, then quantize" $figment train "$models/dcgan_int8.figment" --data "$work/samples.npy"
check "data that is none" 1 "truncated\|no data that can be read" $figment train "$work/gan.figment" --data "$work/broken"
"$convert" --objective gan --gan-loss hinge --generator "$training/generator.onnx" --discriminator "$training/discriminator.onnx" \
  -o "$work/hinge.figment" -q
check "a checkpoint" 0 "" $figment train "$work/gan.figment" --data "$work/samples.npy" --steps 2 --batch 8 --checkpoint "$work/losses"
check "a checkpoint of another loss" 1 "is of another model" $figment train "$work/hinge.figment" --data "$work/samples.npy" \
  --steps 4 --batch 8 --checkpoint "$work/losses"
check "two outputs in one file" 1 "are one file" $figment train "$work/gan.figment" --data "$work/samples.npy" --steps 2 --batch 8 \
  --out "$work/one.figment" --keep-best "$work/../$(basename "$work")/one.figment"
check "an output over its input" 1 "would be overwritten" "$convert" "$work/gan.figment" -o "$work/gan.figment"
check "an unwritable result" 1 "cannot write" $figment train "$work/gan.figment" --data "$work/samples.npy" --steps 1 --batch 8 --out /no/such/x.figment
recipes=$data/recipes
check "convert a recipe" 0 "train.step" "$convert" "$recipes/tiny_vae.json" -o "$work/vae.figment"
printf '{ "objective": "vae" }' > "$work/bad.json"
check "a recipe with a mistake" 1 "bad.json: needs" "$convert" "$work/bad.json" -o "$work/x.figment"
check "an option that the recipe decides" 1 "is set by the recipe" "$convert" "$recipes/tiny_vae.json" --learning-rate 5 -o "$work/x.figment"
check "a training option without an objective" 1 "needs --objective" "$convert" "$onnx/dcgan/generator.onnx" --ema 0.9 -o "$work/x.figment"
check "start from a trained model" 0 "" "$convert" "$recipes/tiny_vae.json" --start-from "$models/tiny_vae.figment" --train-only last:1 -o "$work/started.figment"
$figment generate "$models/tiny_vae.figment" -n 3 -o "$work/x.npy" && $figment generate "$work/started.figment" -n 3 -o "$work/y.npy"
expect "it makes the same samples" 'cmp -s "$work/x.npy" "$work/y.npy"'
check "start from another model" 1 "trains no parameter encoder" "$convert" "$recipes/tiny_vae.json" --start-from "$models/tiny_crgan.figment" -o "$work/x.figment"
check "quantize a generator with classes" 0 "PSNR" "$convert" "$models/tiny_gan.figment" --int8 --calibration-data label=classes --psnr-goal 0 -o "$work/x.figment"
check "freezing what is not there" 1 "no parameter has such a name" "$convert" "$recipes/tiny_vae.json" --freeze nothing -o "$work/x.figment"
check "training a network that is not there" 1 "there is no network" "$convert" "$recipes/tiny_vae.json" --train-only foo:bias -o "$work/x.figment"
: > "$work/empty.json"
check "an empty recipe" 1 "is not JSON" "$convert" "$work/empty.json" -o "$work/x.figment"
check "a code without its weight" 1 "write NAME=CATEGORIES" "$convert" --objective infogan --codes c=3@ --generator x --discriminator y -o "$work/x.figment"
check "an option of int8 without it" 1 "psnr-goal needs --int8" "$convert" "$onnx/dcgan/generator.onnx" --psnr-goal 40 -o "$work/x.figment"
check "an option of another objective" 1 "beta does not go with the objective gan" "$convert" --objective gan --beta 2 --generator x --discriminator y -o "$work/x.figment"
check "a prior for a finished model" 1 "is set in the model already" "$convert" "$models/tiny_vae.figment" --prior uniform -o "$work/x.figment"
sed 's/"kind": "wasserstein"/"kind": "wasserstein", "critic_steps": 3/' "$recipes/tiny_crgan.json" > "$work/critic.json"
check "several critic steps" 0 "" "$convert" "$work/critic.json" -q -o "$work/critic.figment"
$figment generate "$work/critic.figment" -n 16 -o "$work/critic.npy"
check "train with them" 0 "^6 steps" $figment train "$work/critic.figment" --data "$work/critic.npy" --batch 8 --steps 6 --report "$work/critic"
expect "every metric has its column, empty where a step has none" \
  '[ "$(head -1 "$work/critic/losses.csv")" = step,d.loss,g.loss ] && grep -q "^1,[-0-9.]*,$" "$work/critic/losses.csv" && grep -q "^3,[-0-9.]*,[-0-9.]*$" "$work/critic/losses.csv"'
printf '{"objective": "vae", "latent": {"size": 2}, "sample": {"shape": [3]}, "encoder": {"layers": [{"type": "linear", "units": 4}]}, "decoder": {"layers": [{"type": "linear", "units": 3}]}, "loss": {"likelihood": "gaussian"}}' > "$work/free.json"
"$convert" "$work/free.json" -q -o "$work/free.figment"
printf '0,10,250\n5,20,200\n9,30,100\n7,15,220\n' > "$work/far.csv"
check "data far from 1" 0 "has values from 0 to 250, and networks learn best from values around" $figment train "$work/free.figment" --data "$work/far.csv" --batch 2 --steps 1 --out "$work/x.figment"
check "unknown codes" 1 "write NAME=CATEGORIES" "$convert" --objective infogan --codes category --generator x --discriminator y -o "$work/x.figment"
check "infogan without codes" 1 "infogan needs codes" "$convert" --objective infogan --generator x --discriminator y -o "$work/x.figment"
summary
