"""pack.py OUT.zip FOLDER...: of each network in the folders one exporter's file, in turn, and one variant, where they are small;
those whose results are drawn, or whose refusal is right, are left out."""

import glob
import os
import sys
import zipfile

LARGEST = 110000  # bytes
SKIPPED = (
    "snac_decoder_noise",
    "torch-reparam",
    "keras-vae_encoder_sampling",  # draw
    "diffusers_sana",  # its export computes NaN in ONNX Runtime too
    "keras-rescaling",  # an input without a name of its own
    "nflows_spline",
    "pythae-flow_iaf.ts",
    "pythae-flow_maf_inverse.ts",
    "vq-residual.ts",
    "torch-max_unpool",
    "torch-lstm_proj",
    "timm-test_nfnet",  # refused
)


def main(path, folders):
    files = {}
    networks = {}
    for onnx in sorted(file for folder in folders for file in glob.glob(folder + "/*.onnx")):
        name = os.path.basename(onnx)[:-5]
        parts = [file for file in (onnx, onnx + ".data", onnx[:-5] + ".npz") if os.path.exists(file)]
        small = sum(map(os.path.getsize, parts)) < LARGEST
        if small and onnx[:-5] + ".npz" in parts and not name.startswith(SKIPPED):
            files[name] = parts
            networks.setdefault(name.split(".", 1)[0], []).append(name)
    chosen = []
    for i, names in enumerate(networks.values()):
        exports = [name for name in names if name.count(".") == 1]
        variants = [name for name in names if name.count(".") == 2]
        chosen += [group[i % len(group)] for group in (exports, variants) if group]
    with zipfile.ZipFile(path, "w") as archive:
        for name in sorted(chosen):
            for file in files[name]:
                data = open(file, "rb").read()
                archive.writestr(zipfile.ZipInfo(os.path.basename(file)), data, zipfile.ZIP_DEFLATED, 9)


main(sys.argv[1], sys.argv[2:])
