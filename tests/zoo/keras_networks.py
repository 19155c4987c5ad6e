"""keras_networks.py OUT [NAME...]: the same as torch_networks.py for Keras: exporters kx (model.export, format onnx) and
tf2onnx. python3 -m venv v && v/bin/pip install tensorflow-cpu keras tf2onnx onnx"""

import os, sys

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
import numpy as np, keras, tensorflow as tf
from keras import layers as L, Model, Sequential, Input

out = sys.argv[1]
keras.utils.set_random_seed(7)
N = {}


def seq(name, *ls, inp):
    N[name] = lambda: Sequential([Input(inp), *[l() for l in ls]])


seq(
    "dense_gan_g",
    lambda: L.Dense(16),
    lambda: L.LeakyReLU(),
    lambda: L.BatchNormalization(),
    lambda: L.Dense(49, "tanh"),
    lambda: L.Reshape((7, 7, 1)),
    inp=(8,),
)
seq(
    "dcgan_g",
    lambda: L.Dense(7 * 7 * 8, use_bias=False),
    lambda: L.BatchNormalization(),
    lambda: L.LeakyReLU(),
    lambda: L.Reshape((7, 7, 8)),
    lambda: L.Conv2DTranspose(4, 5, 1, "same", use_bias=False),
    lambda: L.BatchNormalization(),
    lambda: L.LeakyReLU(),
    lambda: L.Conv2DTranspose(1, 5, 2, "same", activation="tanh"),
    inp=(8,),
)
seq(
    "dcgan_d",
    lambda: L.Conv2D(4, 5, 2, "same"),
    lambda: L.LeakyReLU(),
    lambda: L.Dropout(0.3),
    lambda: L.Conv2D(8, 5, 2, "same"),
    lambda: L.LeakyReLU(),
    lambda: L.Flatten(),
    lambda: L.Dense(1),
    inp=(14, 14, 1),
)
seq(
    "upsample_bilinear",
    lambda: L.Conv2D(4, 3, padding="same"),
    lambda: L.UpSampling2D(2, interpolation="bilinear"),
    lambda: L.Conv2D(1, 3, padding="same"),
    inp=(6, 6, 2),
)
seq("upsample_nearest", lambda: L.UpSampling2D((2, 3)), lambda: L.Conv2D(1, 3), inp=(6, 6, 2))
seq("upsample_bicubic", lambda: L.UpSampling2D(2, interpolation="bicubic"), inp=(6, 6, 2))
seq(
    "sepconv",
    lambda: L.SeparableConv2D(4, 3, padding="same"),
    lambda: L.DepthwiseConv2D(3),
    lambda: L.ReLU(6),
    lambda: L.GlobalAveragePooling2D(),
    inp=(8, 8, 3),
)
seq(
    "pools",
    lambda: L.MaxPooling2D(2),
    lambda: L.AveragePooling2D(3, 2, "same"),
    lambda: L.GlobalMaxPooling2D(),
    inp=(9, 9, 3),
)
seq(
    "pads",
    lambda: L.ZeroPadding2D(((1, 2), (0, 1))),
    lambda: L.Cropping2D(((0, 1), (1, 0))),
    lambda: L.Conv2D(2, 3, dilation_rate=2),
    inp=(9, 9, 3),
)
seq(
    "norms",
    lambda: L.LayerNormalization(),
    lambda: L.Dense(8),
    lambda: L.UnitNormalization(),
    lambda: L.Dense(4, "softmax"),
    inp=(6,),
)
seq("groupnorm", lambda: L.Conv2D(8, 3), lambda: L.GroupNormalization(4), lambda: L.Activation("silu"), inp=(8, 8, 3))
for (
    a
) in "elu selu gelu relu6 silu softplus softsign hard_sigmoid hard_silu mish celu glu exponential log_softmax hard_tanh sparse_plus leaky_relu tanh_shrink soft_shrink hard_shrink squareplus log_sigmoid sparse_sigmoid".split():
    seq("act_" + a, lambda: L.Dense(6), lambda a=a: L.Activation(a), inp=(4,))
for c in ("LSTM", "GRU", "SimpleRNN"):
    seq(
        f"rnn_{c.lower()}_seq",
        lambda c=c: getattr(L, c)(5, return_sequences=True),
        lambda c=c: getattr(L, c)(4),
        lambda: L.Dense(2),
        inp=(6, 3),
    )
    seq(
        f"rnn_{c.lower()}_bi",
        lambda c=c: L.Bidirectional(getattr(L, c)(5, return_sequences=True)),
        lambda: L.TimeDistributed(L.Dense(2)),
        inp=(6, 3),
    )
    seq(
        f"rnn_{c.lower()}_act",
        lambda c=c: getattr(L, c)(
            5, activation="relu", **({"recurrent_activation": "hard_sigmoid"} if c != "SimpleRNN" else {})
        ),
        inp=(6, 3),
    )
    seq(f"rnn_{c.lower()}_back", lambda c=c: getattr(L, c)(5, go_backwards=True, return_sequences=True), inp=(6, 3))
seq(
    "timegan",
    lambda: L.RepeatVector(6),
    lambda: L.LSTM(5, return_sequences=True),
    lambda: L.GRU(5, return_sequences=True),
    lambda: L.Dense(2, "sigmoid"),
    inp=(4,),
)
seq("convlstm", lambda: L.ConvLSTM2D(3, 3, padding="same"), inp=(4, 6, 6, 2))
seq(
    "conv1d",
    lambda: L.Conv1D(4, 3, padding="causal", dilation_rate=2),
    lambda: L.MaxPooling1D(2),
    lambda: L.Conv1DTranspose(3, 4, 2, "same"),
    lambda: L.UpSampling1D(2),
    inp=(10, 3),
)
seq("conv3d", lambda: L.Conv3D(3, 3, padding="same"), lambda: L.MaxPooling3D(2), inp=(4, 6, 6, 2))
seq("embedding", lambda: L.Embedding(10, 4), lambda: L.GlobalAveragePooling1D(), lambda: L.Dense(2), inp=(5,))
seq(
    "spectral",
    lambda: L.SpectralNormalization(L.Conv2D(4, 3)),
    lambda: L.Flatten(),
    lambda: L.SpectralNormalization(L.Dense(2)),
    inp=(6, 6, 2),
)
seq("resizing", lambda: L.Resizing(9, 7), inp=(6, 6, 2))
seq(
    "rescaling",
    lambda: L.Rescaling(1 / 127.5, -1),
    lambda: L.Normalization(mean=[0.1, 0.2], variance=[1.0, 2.0]),
    inp=(6, 6, 2),
)


def cgan():
    z = Input((8,))
    c = Input((1,), dtype="int32")
    e = L.Flatten()(L.Embedding(10, 8)(c))
    x = L.Multiply()([z, e])
    return Model([z, c], L.Dense(6, "tanh")(x))


N["cgan_embed"] = cgan


def cgan2():
    z = Input((8,))
    c = Input((10,))
    return Model([z, c], L.Dense(6, "tanh")(L.Concatenate()([z, c])))


N["cgan_onehot"] = cgan2


class Sampling(L.Layer):
    def __init__(s, **k):
        super().__init__(**k)
        s.g = keras.random.SeedGenerator(1)

    def call(s, i):
        m, v = i
        return m + keras.ops.exp(0.5 * v) * keras.random.normal(keras.ops.shape(m), seed=s.g)


def enc():
    x = Input((8, 8, 1))
    h = L.Flatten()(L.Conv2D(4, 3, 2, "same", activation="relu")(x))
    return Model(x, [L.Dense(3)(h), L.Dense(3)(h)])


N["vae_encoder"] = enc


def encs():
    x = Input((8, 8, 1))
    h = L.Flatten()(L.Conv2D(4, 3, 2, "same", activation="relu")(x))
    m = L.Dense(3)(h)
    v = L.Dense(3)(h)
    return Model(x, [m, v, Sampling()([m, v])])


N["vae_encoder_sampling"] = encs


def resnet():
    x = Input((8, 8, 3))
    h = x
    for _ in range(2):
        y = L.ReLU()(L.BatchNormalization()(L.Conv2D(3, 3, padding="same")(h)))
        h = L.Add()([h, y])
    return Model(x, h)


N["resblock"] = resnet


def attn():
    x = Input((5, 8))
    y = L.MultiHeadAttention(2, 4)(x, x)
    return Model(x, L.LayerNormalization()(L.Add()([x, y])))


N["mha"] = attn


def attn2():
    x = Input((5, 8))
    return Model(x, L.Attention(use_scale=True)([x, x]))


N["attention"] = attn2


def unet():
    x = Input((8, 8, 1))
    t = Input((1,))
    e = L.Dense(4, "swish")(t)
    a = L.Conv2D(4, 3, padding="same", activation="swish")(x)
    b = L.Conv2D(4, 3, 2, "same", activation="swish")(a)
    b = L.Add()([b, L.Reshape((1, 1, 4))(e)])
    c = L.UpSampling2D()(b)
    return Model([x, t], L.Conv2D(1, 1)(L.Concatenate()([a, c])))


N["ddpm_unet"] = unet


def pix():
    x = Input((4, 4, 8))
    return Model(x, L.Lambda(lambda v: tf.nn.depth_to_space(v, 2))(x))


N["pixelshuffle"] = pix


def mb():
    x = Input((6,))
    return Model(x, L.Lambda(lambda v: tf.concat([v, tf.math.reduce_std(v, axis=1, keepdims=True)], 1))(x))


N["std"] = mb


def gum():
    x = Input((6,))
    return Model(x, L.Lambda(lambda v: tf.one_hot(tf.argmax(v, 1), 6))(L.Dense(6)(x)))


N["argmax_onehot"] = gum
import tf2onnx

for n in sys.argv[2:] or list(N):
    try:
        m = N[n]()
    except Exception as e:
        print("nobuild", n, str(e)[:100], flush=True)
        continue
    for w in m.weights:
        if "moving" in w.path or "seed" in w.path:
            continue
        w.assign(np.random.normal(0, 0.3, w.shape).astype("f"))

    def mk(i):
        return (
            np.random.randint(0, 10, (2, *i.shape[1:])).astype("i4")
            if (i.dtype == "int32" or n == "embedding")
            else np.random.normal(0, 1, (2, *i.shape[1:])).astype("f")
        )

    a = [mk(i) for i in m.inputs]
    try:
        y = m(a if len(a) > 1 else a[0], training=False)
    except Exception as e:
        print("norun", n, str(e)[:100], flush=True)
        continue
    y = y if isinstance(y, (list, tuple)) else [y]
    y = [np.array(v) for v in y]
    for kind in ("kx", "tf2onnx"):
        f = f"{out}/keras-{n}.{kind}.onnx"
        try:
            if kind == "kx":
                m.export(f, format="onnx", verbose=False)
            else:
                fn = tf.function(
                    lambda *x: m(list(x) if len(x) > 1 else x[0], training=False),
                    input_signature=[
                        tf.TensorSpec((None, *i.shape[1:]), a[k].dtype, name=f"x{k}") for k, i in enumerate(m.inputs)
                    ],
                )
                tf2onnx.convert.from_function(fn, input_signature=fn.input_signature, opset=17, output_path=f)
            import onnx

            g = onnx.load(f).graph
            d = {"in_" + i.name: v for i, v in zip(g.input, a)}
            d.update({"out_" + o.name: v for o, v in zip(g.output, y)})
            np.savez_compressed(f[:-5] + ".npz", **d)
        except Exception as e:
            print("noexport", n, kind, type(e).__name__, str(e)[:100], flush=True)
