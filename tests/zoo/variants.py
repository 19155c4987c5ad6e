"""variants.py FROM TO [SEED [COUNT]]: what other tools make of files NAME.ts.onnx: dynq, qop and qdq (ONNX Runtime's dynamic
and static quantization), f16, slim (onnxslim); with ort_OUTPUT, what ONNX Runtime computes, in the .npz of quantized files.
"""

import sys, os, glob, shutil, numpy as np, onnx, warnings, logging

warnings.simplefilter("ignore")
logging.disable(50)
from onnxruntime.quantization import quantize_dynamic, quantize_static, QuantType, QuantFormat, CalibrationDataReader

src, out = sys.argv[1:3]


class R(CalibrationDataReader):
    def __init__(s, z):
        s.i = iter([z] * 3)

    def get_next(s):
        return next(s.i, None)


names = sorted(glob.glob(src + "/*.ts.onnx"))
import random

random.seed(int(sys.argv[3]) if len(sys.argv) > 3 else 1)
random.shuffle(names)
for f in names[: int(sys.argv[4]) if len(sys.argv) > 4 else 40]:
    b = os.path.basename(f)[:-5]
    z = dict(np.load(f[:-5] + ".npz"))
    ins = {k[3:]: v for k, v in z.items() if k.startswith("in_")}
    for kind in ("dynq", "qop", "qdq", "f16", "slim"):
        o = f"{out}/{b}.{kind}.onnx"
        try:
            if kind == "dynq":
                quantize_dynamic(
                    f,
                    o,
                    weight_type=random.choice([QuantType.QInt8, QuantType.QUInt8]),
                    per_channel=random.random() < 0.5,
                )
            elif kind in ("qop", "qdq"):
                quantize_static(
                    f,
                    o,
                    R(ins),
                    quant_format=QuantFormat.QOperator if kind == "qop" else QuantFormat.QDQ,
                    per_channel=random.random() < 0.5,
                    activation_type=(
                        QuantType.QUInt8 if kind == "qop" else random.choice([QuantType.QInt8, QuantType.QUInt8])
                    ),
                    weight_type=QuantType.QInt8,
                )
            elif kind == "f16":
                from onnxruntime.transformers.float16 import convert_float_to_float16

                onnx.save(convert_float_to_float16(onnx.load(f), keep_io_types=random.random() < 0.5), o)
            else:
                import onnxslim

                onnx.save(onnxslim.slim(onnx.load(f)), o)
            shutil.copy(f[:-5] + ".npz", o[:-5] + ".npz")
            if kind in ("dynq", "qop", "qdq"):
                import onnxruntime as ort

                s = ort.InferenceSession(o)
                r = s.run(None, ins)
                z2 = dict(z)
                for q, v in zip(s.get_outputs(), r):
                    z2["ort_" + q.name] = v
                np.savez(o[:-5] + ".npz", **z2)
        except Exception as e:
            print("no", b, kind, type(e).__name__, str(e)[:80].replace("\n", " "), flush=True)
            for x in (o, o[:-5] + ".npz"):
                if os.path.exists(x):
                    os.remove(x)
