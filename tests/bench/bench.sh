#!/bin/sh
# Times the shipped and synthetic models on one thread, beside bare XNNPACK and, if the Python environment in
# $FIGMENT_PEER_PYTHON (default: build/peers/bin/python) has onnxruntime, beside ONNX Runtime, alternating. To make it:
#   python3 -m venv build/peers && build/peers/bin/pip install onnxruntime numpy torch
set -eu
cd "$(dirname "$0")/../.."
target=x86_64
[ "$(uname -m)" = x86_64 ] || target=system
bin=build/$target/bin
work=build/bench
mkdir -p "$work"
"$bin/figment_synthetic" "$work"
for model in dcgan64 vae_decoder; do
  "$bin/figment-convert" "$work/$model.onnx" -o "$work/$model.figment" -q
  "$bin/figment-convert" "$work/$model.onnx" -o "$work/${model}_int8.figment" --int8 --psnr-goal 0 -q
done
for model in dgan dcgan conv_vae; do
  cp "build/$target/models/$model.figment" "build/$target/models/${model}_int8.figment" "$work/"
done
cp models/dgan/generator.onnx "$work/dgan.onnx"
cp models/dcgan/generator.onnx "$work/dcgan.onnx"
cp models/conv_vae/decoder.onnx "$work/conv_vae.onnx"
python=${FIGMENT_PEER_PYTHON:-build/peers/bin/python}
if "$python" -c 'import onnxruntime, numpy' 2> /dev/null; then
  "$python" tests/bench/compare_peers.py "$bin" "$work" "$@"
  if "$python" -c 'import torch' 2> /dev/null; then exec "$python" tests/bench/train_peers.py "$bin" "$work"; fi
  echo "no torch at $python: train steps are not timed beside it"
  exit 0
fi
echo "no ONNX Runtime at $python: Figment alone (tests/bench/bench.sh says how to install it)"
"$bin/figment_bare_bench" "$work/dgan.figment"
for model in dgan dcgan conv_vae dcgan64 vae_decoder; do
  for kind in "" _int8; do
    echo "$model$kind"
    "$bin/figment" bench "$work/$model$kind.figment"
  done
done
