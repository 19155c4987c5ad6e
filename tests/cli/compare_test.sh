#!/bin/sh
# Models beside each other, and beside what exporters compute.
. "$(dirname "$0")/check.sh"
exported=$data/exported tensors=$data/tensors
for network in script_g graphs_kept_d; do
  $convert -q "$exported/$network.onnx" -o "$work/$network.figment"
  check "compare $network with recorded tensors" 0 "tensors shown" $figment compare "$work/$network.figment" --against "$tensors/$network.npz"
done
check "and as JSON" 0 '"first_wrong": null' $figment compare "$work/script_g.figment" --against "$tensors/script_g.npz" --json
check "the first tensor that goes wrong" 1 "relu (conv2d) is the first to go wrong: off by 2.8" \
  $figment compare "$work/graphs_kept_d.figment" --against "$tensors/graphs_kept_d_wrong.npz"
check "tensors of another model" 1 "has no array for the input" $figment compare "$work/script_g.figment" --against "$tensors/graphs_kept_d.npz"
check "without Python" 1 "there is no such Python to compute .*recorded.npz" env PYTHON=/no/such $figment compare "$work/script_g.figment" --against "$exported/script_g.onnx"
if ${PYTHON:-python3} -c "import onnx, numpy" 2> "$work/out"; then
  check "compare with an ONNX file" 0 "tensors shown" $figment compare "$work/script_g.figment" --against "$exported/script_g.onnx"
  $convert "$exported/fixed_g.onnx" -o "$work/reopened.figment" -q
  check "compare with an ONNX file of a fixed batch" 0 "tensors shown.* 6 samples" $figment compare "$work/reopened.figment" --against "$exported/fixed_g.onnx" -n 6
  check "compare with an ONNX file of another model" 1 "an input that the model has not" $figment compare "$work/script_g.figment" --against "$exported/graphs_kept_d.onnx"
else
  echo "skipped: compare with an ONNX file, for which there is no Python with onnx"
fi
"$convert" "$onnx/dgan/generator.onnx" --f16 -o "$work/f16.figment" -q
check "against f32" 0 "tensors shown" $figment compare "$work/f16.figment" --against "$models/dgan.figment" --tolerance 2e-3
{ printf '\223NUMPY\001\000\166\000%-117s\n' "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 100), }"; head -c 400 /dev/zero | tr '\0' '\377'; } > "$work/nan.npy"
check "inputs that nothing is known of" 0 "input sample was drawn at random: --input sample=FILE takes your data" \
  $figment compare "$models/tiny_vae.figment" --against "$models/tiny_vae.figment" --program encode
check "NaN on both sides" 0 "tensors hold NaN or infinite values on both sides" $figment compare "$work/f16.figment" --against "$models/dgan.figment" --input "$work/nan.npy" --tolerance 2e-3
check "int8 against f32" 0 "conv_transpose2d int8" $figment compare "$onnx/cdcgan/cdcgan_int8.figment" --against "$onnx/cdcgan/cdcgan.figment"
check "int8 that must be better" 1 "not 90 dB: convert with --want-snr 90, or --keep-f32" \
  $figment compare "$onnx/cdcgan/cdcgan_int8.figment" --against "$onnx/cdcgan/cdcgan.figment" --want-snr 90
check "against what is none of these" 1 "give an .onnx file" $figment compare "$work/script_g.figment" --against "$work/out"
check "compare models under a condition" 0 "dB" $figment compare "$onnx/cdcgan/cdcgan.figment" "$onnx/cdcgan/cdcgan_int8.figment" -n 20
summary
