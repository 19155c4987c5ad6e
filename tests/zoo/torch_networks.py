"""torch_networks.py OUT [NAME...]: exports networks of public packages, with random weights, by PyTorch's exporters, and
records what PyTorch computes: OUT/NAME.EXPORTER.onnx (weights maybe beside it in .onnx.data) and .npz with in_INPUT and
out_OUTPUT. Exporters: ts (dynamo=False, an open batch), dyn (nothing but the file's name: a batch of 1), dynb (dynamo with
an open batch). Networks whose packages are not installed are named and left out.

python3 -m venv v && v/bin/pip install torch onnx onnxscript && v/bin/pip install --no-deps PACKAGES, which are: pythae
diffusers monai encodec vocos lightning-bolts denoising-diffusion-pytorch stylegan2-pytorch lightweight-gan
vector-quantize-pytorch x-transformers snac parallel-wavegan audio-diffusion-pytorch audio-encoders-pytorch timm nflows
normflows, and what their networks import."""

import importlib, importlib.abc, importlib.machinery, sys, types, os, warnings, logging

warnings.simplefilter("ignore")
logging.disable(logging.WARNING)
import numpy as np, torch
from torch import nn


class Meta(type):
    def __getattr__(c, n):
        if n.startswith("__"):
            raise AttributeError(n)
        return Meta(n, (), {"__init__": lambda s, *a, **k: None})() if n[0].isupper() else (lambda *a, **k: None)


# What the packages import beside their networks (training, data, logging) is not needed: modules that stand for it.
class Mock(types.ModuleType):
    __path__ = []
    __version__ = "2.9.0"

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        if name in ("BaseModel",) or name.endswith("Mixin"):
            value = type(name, (), {}) if name.endswith("Mixin") else nn.Module
        elif name[0].isupper():
            value = (Meta if name in ("InterpolationMode",) else type)(
                name, (), {"__init__": lambda s, *a, **k: None, "__init_subclass__": classmethod(lambda c, **k: None)}
            )
        else:
            value = lambda *a, **k: (a[0] if a and callable(a[0]) else (lambda f=None, *b, **l: f))
        setattr(self, name, value)
        return value


STUBS = (
    "torchvision",
    "torchaudio",
    "tensorboard",
    "kornia",
    "kornia_rs",
    "gym",
    "soundfile",
    "librosa",
    "aim",
    "wandb",
    "audiotools",
    "tensorboardX",
    "torch_optimizer",
    "adabelief_pytorch",
    "seaborn",
    "pytorch_fid",
    "accelerate",
    "ema_pytorch",
    "nibabel",
    "pl_bolts.datamodules",
    "pl_bolts.callbacks",
    "pl_bolts.utils.warnings_",
    "randaugment",
    "argbind",
    "flatten_dict",
    "ffmpy",
    "torch_stoi",
    "pystoi",
    "pyloudnorm",
    "julius",
    "markdown2",
    "randomname",
    "IPython",
    "pytorch_lightning",
    "fastai",
    "fastcore.test",
)


class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, name, path, target=None):
        if name.split(".")[0] in STUBS or any(name.startswith(s) for s in STUBS if "." in s):
            return importlib.machinery.ModuleSpec(name, self, is_package=True)

    def create_module(self, spec):
        return Mock(spec.name)

    def exec_module(self, module):
        pass


sys.meta_path.insert(0, Finder())
import scipy.signal, scipy.signal.windows

scipy.signal.kaiser = scipy.signal.windows.kaiser


class Cuda:
    def __enter__(s):
        s.o = torch.cuda.is_available
        torch.cuda.is_available = lambda: True

    def __exit__(s, *a):
        torch.cuda.is_available = s.o


import pytorch_lightning as pl


class LM(nn.Module):
    def save_hyperparameters(self, *a, **k):
        self.hparams = types.SimpleNamespace(**k)


pl.LightningModule = LM

NETS = {}


def net(f):
    NETS[f.__name__] = f
    return f


def t(*s):
    return torch.randn(*s)


B = 2


class W(nn.Module):
    def __init__(self, m, f):
        super().__init__()
        self.m = m
        self.f = f

    def forward(self, *a):
        return self.f(self.m, *a)


# pythae
def pcfg(name, cfg, **k):
    m = importlib.import_module("pythae.models")
    return getattr(m, name)(getattr(m, cfg)(input_dim=(1, 28, 28), latent_dim=8, **k))


for nm, cf in [
    ("VAE", "VAEConfig"),
    ("VQVAE", "VQVAEConfig"),
    ("WAE_MMD", "WAE_MMD_Config"),
    ("BetaTCVAE", "BetaTCVAEConfig"),
    ("SVAE", "SVAEConfig"),
    ("VAE_IAF", "VAE_IAF_Config"),
    ("VAE_LinNF", "VAE_LinNF_Config"),
    ("RAE_L2", "RAE_L2_Config"),
    ("Adversarial_AE", "Adversarial_AE_Config"),
    ("PoincareVAE", "PoincareVAEConfig"),
    ("VAEGAN", "VAEGANConfig"),
    ("FactorVAE", "FactorVAEConfig"),
]:

    def enc(nm=nm, cf=cf):
        return W(pcfg(nm, cf), lambda m, x: tuple(v for v in m.encoder(x).values())), (t(B, 1, 28, 28),)

    def dec(nm=nm, cf=cf):
        return W(pcfg(nm, cf), lambda m, z: m.decoder(z).reconstruction), (t(B, 8),)

    NETS[f"pythae-{nm.lower()}_encoder"] = enc
    NETS[f"pythae-{nm.lower()}_decoder"] = dec
from types import SimpleNamespace as NS


def bm(kind, cls):
    def f():
        import pythae.models.nn.benchmarks as b

        mod = importlib.import_module(f"pythae.models.nn.benchmarks.{kind}")
        c = getattr(mod, cls)
        dim = {"mnist": (1, 28, 28), "cifar": (3, 32, 32), "celeba": (3, 64, 64)}[kind]
        cfg = importlib.import_module("pythae.models").VAEConfig(input_dim=dim, latent_dim=8)
        m = c(cfg)
        if "Decoder" in cls:
            return W(m, lambda m, z: m(z).reconstruction), (t(B, 8),)
        if "Discriminator" in cls:
            return W(
                m, lambda m, z: m(z).adversarial_cost if hasattr(m(z), "adversarial_cost") else tuple(m(z).values())[0]
            ), (
                t(B, *dim),
            )
        return W(m, lambda m, x: tuple(v for v in m(x).values())), (t(B, *dim),)

    return f


for kind in ("mnist", "cifar", "celeba"):
    K = {"mnist": "MNIST", "cifar": "CIFAR", "celeba": "CELEBA"}[kind]
    for c in (
        "Encoder_Conv_AE",
        "Encoder_Conv_VAE",
        "Decoder_Conv_AE",
        "Encoder_ResNet_VAE",
        "Decoder_ResNet_AE",
        "Discriminator_Conv",
        "Encoder_ResNet_VQVAE",
        "Decoder_ResNet_VQVAE",
        "Encoder_Conv_SVAE",
        "Encoder_ResNet_AE",
    ):
        NETS[f"pythae-{kind}_{c.lower()}"] = bm(kind, f"{c}_{K}")


def flow(name, cfg):
    def f():
        import pythae.models.normalizing_flows as nf

        m = getattr(nf, name)(getattr(nf, cfg)(input_dim=(8,)))
        return W(m, lambda m, x: tuple(m(x).values())), (t(B, 8),)

    def g():
        import pythae.models.normalizing_flows as nf

        m = getattr(nf, name)(getattr(nf, cfg)(input_dim=(8,)))
        return W(m, lambda m, x: tuple(m.inverse(x).values())), (t(B, 8),)

    NETS[f"pythae-flow_{name.lower()}"] = f
    NETS[f"pythae-flow_{name.lower()}_inverse"] = g


flow("MAF", "MAFConfig")
flow("IAF", "IAFConfig")
flow("PlanarFlow", "PlanarFlowConfig")
flow("RadialFlow", "RadialFlowConfig")
flow("MADE", "MADEConfig")


# diffusers
@net
def diffusers_unet2d():
    from diffusers import UNet2DModel

    m = UNet2DModel(
        sample_size=16,
        in_channels=1,
        out_channels=1,
        block_out_channels=(8, 16),
        norm_num_groups=4,
        layers_per_block=1,
        down_block_types=("DownBlock2D", "AttnDownBlock2D"),
        up_block_types=("AttnUpBlock2D", "UpBlock2D"),
        attention_head_dim=8,
    )
    return W(m, lambda m, x, k: m(x, k).sample), (t(B, 1, 16, 16), torch.tensor([3, 7]))


@net
def diffusers_unet2d_float_t():
    from diffusers import UNet2DModel

    m = UNet2DModel(
        sample_size=16,
        in_channels=1,
        out_channels=1,
        block_out_channels=(8, 16),
        norm_num_groups=4,
        layers_per_block=1,
        down_block_types=("DownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "UpBlock2D"),
        time_embedding_type="fourier",
    )
    return W(m, lambda m, x, k: m(x, k).sample), (t(B, 1, 16, 16), torch.tensor([0.3, 0.7]))


@net
def diffusers_unet2d_class():
    from diffusers import UNet2DModel

    m = UNet2DModel(
        sample_size=16,
        in_channels=1,
        out_channels=1,
        block_out_channels=(8, 16),
        norm_num_groups=4,
        layers_per_block=1,
        num_class_embeds=10,
        down_block_types=("ResnetDownsampleBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "ResnetUpsampleBlock2D"),
    )
    return W(m, lambda m, x, k, c: m(x, k, c).sample), (t(B, 1, 16, 16), torch.tensor([3, 7]), torch.tensor([1, 9]))


@net
def diffusers_unet_cond():
    from diffusers import UNet2DConditionModel

    m = UNet2DConditionModel(
        sample_size=8,
        in_channels=4,
        out_channels=4,
        block_out_channels=(8, 16),
        norm_num_groups=4,
        layers_per_block=1,
        cross_attention_dim=8,
        attention_head_dim=4,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
    )
    return W(m, lambda m, x, k, c: m(x, k, c).sample), (t(B, 4, 8, 8), torch.tensor([3, 7]), t(B, 5, 8))


@net
def diffusers_kl_decoder():
    from diffusers import AutoencoderKL

    m = AutoencoderKL(
        block_out_channels=(8, 16),
        norm_num_groups=4,
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
    )
    return W(m, lambda m, z: m.decode(z).sample), (t(B, 4, 8, 8),)


@net
def diffusers_vq():
    from diffusers import VQModel

    m = VQModel(
        block_out_channels=(8, 16),
        norm_num_groups=4,
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        num_vq_embeddings=16,
    )
    return W(m, lambda m, z: m(z).sample), (t(B, 3, 16, 16),)


@net
def diffusers_vq_decode():
    from diffusers import VQModel

    m = VQModel(
        block_out_channels=(8, 16),
        norm_num_groups=4,
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        num_vq_embeddings=16,
    )
    return W(m, lambda m, z: m.decode(z).sample), (t(B, 3, 8, 8),)


@net
def diffusers_consistency_decoder():
    from diffusers import ConsistencyDecoderVAE

    m = ConsistencyDecoderVAE(
        encoder_block_out_channels=(8, 16),
        encoder_down_block_types=("DownEncoderBlock2D",) * 2,
        encoder_norm_num_groups=4,
    )
    return W(m, lambda m, z: m.encoder(z)), (t(B, 3, 16, 16),)


@net
def diffusers_prior():
    from diffusers import PriorTransformer

    m = PriorTransformer(num_attention_heads=2, attention_head_dim=4, num_layers=1, embedding_dim=8, num_embeddings=5)
    return W(m, lambda m, x, k, p, e: m(x, k, p, e).predicted_image_embedding), (
        t(B, 8),
        torch.tensor([3, 7]),
        t(B, 8),
        t(B, 5, 8),
    )


@net
def diffusers_sana_dc_decoder():
    from diffusers import AutoencoderDC

    m = AutoencoderDC(
        in_channels=3,
        latent_channels=4,
        encoder_block_out_channels=(8, 16),
        decoder_block_out_channels=(8, 16),
        encoder_layers_per_block=(1, 1),
        decoder_layers_per_block=(1, 1),
        encoder_block_types=("ResBlock", "EfficientViTBlock"),
        decoder_block_types=("ResBlock", "EfficientViTBlock"),
        encoder_qkv_multiscales=((), (5,)),
        decoder_qkv_multiscales=((), (5,)),
        attention_head_dim=4,
    )
    return W(m, lambda m, z: m.decode(z).sample), (t(B, 4, 8, 8),)


@net
def diffusers_pixart():
    from diffusers import PixArtTransformer2DModel

    m = PixArtTransformer2DModel(
        num_attention_heads=2,
        attention_head_dim=4,
        in_channels=4,
        out_channels=4,
        num_layers=1,
        norm_num_groups=1,
        cross_attention_dim=8,
        sample_size=8,
        patch_size=2,
        caption_channels=8,
        norm_type="ada_norm_single",
        use_additional_conditions=False,
    )
    return W(m, lambda m, x, c, k: m(x, encoder_hidden_states=c, timestep=k).sample), (
        t(B, 4, 8, 8),
        t(B, 5, 8),
        torch.tensor([3, 7]),
    )


@net
def diffusers_sd3():
    from diffusers import SD3Transformer2DModel

    m = SD3Transformer2DModel(
        sample_size=8,
        patch_size=2,
        in_channels=4,
        num_layers=1,
        attention_head_dim=4,
        num_attention_heads=2,
        joint_attention_dim=8,
        caption_projection_dim=8,
        pooled_projection_dim=8,
        out_channels=4,
    )
    return W(m, lambda m, x, c, p, k: m(x, c, p, k).sample), (
        t(B, 4, 8, 8),
        t(B, 5, 8),
        t(B, 8),
        torch.tensor([3.0, 7.0]),
    )


@net
def diffusers_controlnet():
    from diffusers import ControlNetModel

    m = ControlNetModel(
        in_channels=4,
        block_out_channels=(8, 16),
        norm_num_groups=4,
        layers_per_block=1,
        cross_attention_dim=8,
        attention_head_dim=4,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        conditioning_embedding_out_channels=(4, 8),
    )
    return W(m, lambda m, x, k, c, y: m(x, k, c, y).mid_block_res_sample), (
        t(B, 4, 8, 8),
        torch.tensor([3, 7]),
        t(B, 5, 8),
        t(B, 3, 16, 16),
    )


# monai
def monai(name, build, *inputs):
    def f():
        import monai.networks.nets as n

        return build(n), inputs

    NETS["monai-" + name] = f


monai("ae", lambda n: n.AutoEncoder(2, 1, 1, (4, 8), (2, 2)), t(B, 1, 16, 16))
monai(
    "vae",
    lambda n: W(n.VarAutoEncoder(2, (1, 16, 16), 1, 4, (4, 8), (2, 2)).eval(), lambda m, x: m(x)[1:3]),
    t(B, 1, 16, 16),
)
monai(
    "vae_decode",
    lambda n: W(n.VarAutoEncoder(2, (1, 16, 16), 1, 4, (4, 8), (2, 2)), lambda m, z: m.decode_forward(z)),
    t(B, 4),
)
monai("generator", lambda n: n.Generator((6,), (8, 4, 4), (8, 4, 1), (2, 2, 1)), t(B, 6))
monai("discriminator", lambda n: n.Discriminator((1, 16, 16), (4, 8), (2, 2)), t(B, 1, 16, 16))
monai("critic", lambda n: n.Critic((1, 16, 16), (4, 8), (2, 2)), t(B, 1, 16, 16))
monai("patchgan", lambda n: W(n.PatchDiscriminator(2, 8, 1, 1, 2), lambda m, x: m(x)[-1]), t(B, 1, 32, 32))
monai("unet", lambda n: n.UNet(2, 1, 1, (4, 8, 16), (2, 2), num_res_units=1), t(B, 1, 32, 32))
monai("basic_unet", lambda n: n.BasicUNet(2, 1, 1, (4, 4, 8, 8, 8, 4)), t(B, 1, 32, 32))
monai("attention_unet", lambda n: n.AttentionUnet(2, 1, 1, (4, 8), (2,)), t(B, 1, 16, 16))
monai(
    "autoencoderkl_dec",
    lambda n: W(
        n.AutoencoderKL(2, 1, 1, (1, 1), (4, 8), (False, True), 2, norm_num_groups=2), lambda m, z: m.decode(z)
    ),
    t(B, 2, 8, 8),
)
monai(
    "autoencoderkl_enc",
    lambda n: W(
        n.AutoencoderKL(2, 1, 1, (1, 1), (4, 8), (False, True), 2, norm_num_groups=2), lambda m, z: m.encode(z)
    ),
    t(B, 1, 16, 16),
)
monai(
    "ddpm_unet",
    lambda n: n.DiffusionModelUNet(2, 1, 1, (1, 1), (8, 8), (False, True), norm_num_groups=4, num_head_channels=4),
    t(B, 1, 16, 16),
    torch.tensor([3, 7]),
)
monai(
    "vqvae",
    lambda n: W(
        n.VQVAE(
            2,
            1,
            1,
            channels=(4, 4),
            num_res_layers=1,
            num_res_channels=(4, 4),
            downsample_parameters=((2, 4, 1, 1),) * 2,
            upsample_parameters=((2, 4, 1, 1, 0),) * 2,
            num_embeddings=8,
            embedding_dim=4,
        ),
        lambda m, x: m(x)[0],
    ),
    t(B, 1, 16, 16),
)
monai(
    "vqvae_idx",
    lambda n: W(
        n.VQVAE(
            2,
            1,
            1,
            channels=(4, 4),
            num_res_layers=1,
            num_res_channels=(4, 4),
            downsample_parameters=((2, 4, 1, 1),) * 2,
            upsample_parameters=((2, 4, 1, 1, 0),) * 2,
            num_embeddings=8,
            embedding_dim=4,
        ),
        lambda m, x: m.index_quantize(x),
    ),
    t(B, 1, 16, 16),
)
monai(
    "vqvae_decode_idx",
    lambda n: W(
        n.VQVAE(
            2,
            1,
            1,
            channels=(4, 4),
            num_res_layers=1,
            num_res_channels=(4, 4),
            downsample_parameters=((2, 4, 1, 1),) * 2,
            upsample_parameters=((2, 4, 1, 1, 0),) * 2,
            num_embeddings=8,
            embedding_dim=4,
        ),
        lambda m, x: m.decode_samples(x),
    ),
    torch.randint(8, (B, 4, 4)),
)
monai("segresnet", lambda n: n.SegResNet(2, 8, 1, 1, blocks_down=(1, 1), blocks_up=(1,)), t(B, 1, 16, 16))
monai(
    "segresnet_vae",
    lambda n: W(
        n.SegResNetVAE(
            (16, 16),
            spatial_dims=2,
            init_filters=8,
            in_channels=1,
            out_channels=1,
            blocks_down=(1, 1),
            blocks_up=(1,),
            vae_nz=4,
        ).eval(),
        lambda m, x: m(x)[0],
    ),
    t(B, 1, 16, 16),
)
monai(
    "vit", lambda n: W(n.ViT(1, (16, 16), (8, 8), 8, 16, 1, 2, spatial_dims=2), lambda m, x: m(x)[0]), t(B, 1, 16, 16)
)
monai(
    "vitautoenc",
    lambda n: W(n.ViTAutoEnc(1, (16, 16), (4, 4), 1, 4, 8, 16, 1, 2, spatial_dims=2), lambda m, x: m(x)[0]),
    t(B, 1, 16, 16),
)
monai("transformer", lambda n: n.DecoderOnlyTransformer(8, 6, 8, 1, 2), torch.randint(8, (B, 6)))
monai("densenet", lambda n: n.DenseNet(2, 1, 3, 4, 4, (2, 2)), t(B, 1, 32, 32))
monai(
    "resnet",
    lambda n: n.ResNet("basic", (1, 1, 1, 1), (4, 4, 8, 8), spatial_dims=2, n_input_channels=1, num_classes=3),
    t(B, 1, 32, 32),
)
monai(
    "flexunet_up",
    lambda n: n.UNet(2, 1, 1, (4, 8), (2,), act="SWISH", norm=("GROUP", {"num_groups": 2})),
    t(B, 1, 16, 16),
)
monai(
    "fcn_var",
    lambda n: W(
        n.VarFullyConnectedNet(4, 3, 2, (4,), (4,)).eval() if hasattr(n, "VarFullyConnectedNet") else None,
        lambda m, x: m.encode_forward(x),
    ),
    t(B, 4),
)


# lightning-bolts
def bolts(name, build, *inputs):
    NETS["bolts-" + name] = lambda: (build(), inputs)


def imp(m, a):
    return getattr(importlib.import_module(m), a)


bolts("gan_g", lambda: imp("pl_bolts.models.gans.basic.components", "Generator")(8, (1, 28, 28)), t(B, 8))
bolts("dcgan_g", lambda: imp("pl_bolts.models.gans.dcgan.components", "DCGANGenerator")(8, 8, 1), t(B, 8, 1, 1))
bolts("dcgan_d", lambda: imp("pl_bolts.models.gans.dcgan.components", "DCGANDiscriminator")(8, 1), t(B, 1, 64, 64))
bolts("srgan_g", lambda: imp("pl_bolts.models.gans.srgan.components", "SRGANGenerator")(1, 8, 2, 2), t(B, 1, 8, 8))
bolts(
    "resnet18_enc",
    lambda: imp("pl_bolts.models.autoencoders.components", "resnet18_encoder")(False, False),
    t(B, 3, 32, 32),
)
bolts(
    "resnet18_dec",
    lambda: imp("pl_bolts.models.autoencoders.components", "resnet18_decoder")(8, 32, False, False),
    t(B, 8),
)
bolts("pixelcnn", lambda: imp("pl_bolts.models.vision.pixel_cnn", "PixelCNN")(4, 8, 1), t(B, 4, 8, 8))
bolts("unet", lambda: imp("pl_bolts.models.vision.unet", "UNet")(2, 1, 2, 4), t(B, 1, 16, 16))
bolts("unet_bilinear", lambda: imp("pl_bolts.models.vision.unet", "UNet")(2, 1, 2, 4, True), t(B, 1, 16, 16))


# encodec, vocos, snac, bigvgan, parallel wavegan
@net
def encodec_encoder():
    from encodec.modules import SEANetEncoder

    return SEANetEncoder(dimension=8, n_filters=4, n_residual_layers=1, ratios=[4, 2], lstm=1), (t(B, 1, 64),)


@net
def encodec_decoder():
    from encodec.modules import SEANetDecoder

    return SEANetDecoder(dimension=8, n_filters=4, n_residual_layers=1, ratios=[4, 2], lstm=1), (t(B, 8, 8),)


@net
def encodec_decoder_causal():
    from encodec.modules import SEANetDecoder

    return SEANetDecoder(
        dimension=8,
        n_filters=4,
        n_residual_layers=1,
        ratios=[4, 2],
        lstm=2,
        causal=True,
        norm="weight_norm",
    ), (t(B, 8, 8),)


@net
def encodec_rvq():
    from encodec.quantization import ResidualVectorQuantizer

    m = ResidualVectorQuantizer(dimension=8, n_q=2, bins=16).eval()
    return W(m, lambda m, x: m.decode(m.encode(x, 50))), (t(B, 8, 8),)


@net
def encodec_rvq_decode():
    from encodec.quantization import ResidualVectorQuantizer

    m = ResidualVectorQuantizer(dimension=8, n_q=2, bins=16).eval()
    return W(m, lambda m, x: m.decode(x.transpose(0, 1))), (torch.randint(16, (B, 2, 8)),)


@net
def vocos_backbone():
    from vocos.models import VocosBackbone

    return VocosBackbone(8, 16, 32, 2), (t(B, 8, 10),)


@net
def vocos_head():
    from vocos.heads import ISTFTHead

    m = ISTFTHead(16, 16, 4, padding="same")
    return W(m, lambda m, x: m.out(x).transpose(1, 2)), (t(B, 10, 16),)


@net
def vocos_full():
    from vocos.models import VocosBackbone
    from vocos.heads import ISTFTHead

    b, h = VocosBackbone(8, 16, 32, 2), ISTFTHead(16, 16, 4, padding="same")
    m = nn.ModuleList([b, h])

    def f(m, x):
        y = m[1].out(m[0](x)).transpose(1, 2)
        mag, p = y.chunk(2, dim=1)
        mag = torch.clip(torch.exp(mag), max=1e2)
        return mag * torch.cos(p), mag * torch.sin(p)

    return W(m, f), (t(B, 8, 10),)


@net
def vocos_resnet():
    from vocos.models import VocosResNetBackbone

    return VocosResNetBackbone(8, 16, 1), (t(B, 8, 10),)


@net
def snac_decoder():
    from snac.layers import Decoder

    return Decoder(8, 16, [2, 2], noise=False, depthwise=True, attn_window_size=None), (t(B, 8, 8),)


@net
def snac_decoder_noise():
    from snac.layers import Decoder

    return Decoder(8, 16, [2, 2], noise=True, depthwise=True, attn_window_size=None), (t(B, 8, 8),)


@net
def snac_encoder():
    from snac.layers import Encoder

    return Encoder(8, [2, 2], depthwise=True, attn_window_size=None), (t(B, 1, 64),)


@net
def snac_vq():
    from snac.vq import ResidualVectorQuantize

    m = ResidualVectorQuantize(8, 16, 4, [2, 1]).eval()
    return W(m, lambda m, z: m(z)[0]), (t(B, 8, 8),)


@net
def pwg_generator():
    from parallel_wavegan.models import ParallelWaveGANGenerator

    return ParallelWaveGANGenerator(
        layers=4,
        stacks=2,
        residual_channels=4,
        gate_channels=8,
        skip_channels=4,
        aux_channels=6,
        aux_context_window=0,
        upsample_params={"upsample_scales": [2, 2]},
    ), (t(B, 1, 32), t(B, 6, 8))


@net
def pwg_melgan():
    from parallel_wavegan.models import MelGANGenerator

    return MelGANGenerator(in_channels=6, channels=16, upsample_scales=[2, 2], stacks=1), (t(B, 6, 8),)


@net
def pwg_hifigan():
    from parallel_wavegan.models import HiFiGANGenerator

    return HiFiGANGenerator(
        in_channels=6,
        channels=16,
        upsample_scales=[2, 2],
        upsample_kernel_sizes=[4, 4],
        resblock_kernel_sizes=[3],
        resblock_dilations=[[1, 3]],
    ), (t(B, 6, 8),)


@net
def pwg_stylemelgan():
    from parallel_wavegan.models import StyleMelGANGenerator

    return StyleMelGANGenerator(
        in_channels=8, aux_channels=6, channels=8, noise_upsample_scales=[2, 2], upsample_scales=[2, 2]
    ), (t(B, 6, 8), t(B, 8, 2))


@net
def pwg_disc():
    from parallel_wavegan.models import HiFiGANMultiPeriodDiscriminator

    m = HiFiGANMultiPeriodDiscriminator(
        periods=[2, 3],
        discriminator_params={
            "in_channels": 1,
            "out_channels": 1,
            "kernel_sizes": [5, 3],
            "channels": 4,
            "downsample_scales": [3, 1],
            "max_downsample_channels": 8,
            "bias": True,
            "nonlinear_activation": "LeakyReLU",
            "nonlinear_activation_params": {"negative_slope": 0.1},
            "use_weight_norm": True,
            "use_spectral_norm": False,
        },
    )
    return W(m, lambda m, x: tuple(o[-1] for o in m(x))), (t(B, 1, 62),)


@net
def pwg_msd():
    from parallel_wavegan.models import MelGANMultiScaleDiscriminator

    m = MelGANMultiScaleDiscriminator(scales=2, channels=4, max_downsample_channels=8, downsample_scales=[2])
    return W(m, lambda m, x: tuple(o[-1] for o in m(x))), (t(B, 1, 64),)


@net
def pwg_res_wavegan_d():
    from parallel_wavegan.models import ResidualParallelWaveGANDiscriminator

    return ResidualParallelWaveGANDiscriminator(
        layers=4, stacks=2, residual_channels=4, gate_channels=8, skip_channels=4
    ), (
        t(B, 1, 64),
    )


class AD(dict):
    pass


@net
def bigvgan():
    mod = importlib.import_module("bigvgan.bigvgan" if importlib.util.find_spec("bigvgan.bigvgan") else "bigvgan")
    h = AD(
        num_mels=6,
        upsample_initial_channel=16,
        upsample_rates=[2, 2],
        upsample_kernel_sizes=[4, 4],
        resblock="1",
        resblock_kernel_sizes=[3],
        resblock_dilation_sizes=[[1, 3, 5]],
        activation="snakebeta",
        snake_logscale=True,
        use_cuda_kernel=False,
        use_bias_at_final=True,
        use_tanh_at_final=True,
    )
    h.__dict__ = h
    return mod.BigVGAN(h), (t(B, 6, 8),)


# lucidrains


@net
def stylegan2_mapping():
    with Cuda():
        from stylegan2_pytorch.stylegan2_pytorch import StyleVectorizer
    return StyleVectorizer(8, 3), (t(B, 8),)


@net
def ddpm_unet():
    from denoising_diffusion_pytorch import Unet

    return Unet(dim=8, dim_mults=(1, 2), channels=1, flash_attn=False), (t(B, 1, 16, 16), torch.tensor([3.0, 7.0]))


@net
def ddpm_unet_int():
    from denoising_diffusion_pytorch import Unet

    return Unet(dim=8, dim_mults=(1, 2), channels=1, flash_attn=False, learned_sinusoidal_cond=True), (
        t(B, 1, 16, 16),
        torch.tensor([3, 7]),
    )


@net
def ddpm_unet1d():
    from denoising_diffusion_pytorch.denoising_diffusion_pytorch_1d import Unet1D

    return Unet1D(dim=8, dim_mults=(1, 2), channels=2), (t(B, 2, 16), torch.tensor([3.0, 7.0]))


@net
def ddpm_karras():
    from denoising_diffusion_pytorch.karras_unet import KarrasUnet

    return KarrasUnet(
        image_size=16, dim=8, dim_max=16, num_downsamples=1, num_blocks_per_stage=1, attn_res=(8,), channels=1
    ), (t(B, 1, 16, 16), torch.tensor([0.3, 0.7]))


@net
def ddpm_uvit():
    from denoising_diffusion_pytorch.simple_diffusion import UViT

    return UViT(dim=8, dim_mults=(1, 2), channels=1, vit_depth=1), (t(B, 1, 16, 16), torch.tensor([0.3, 0.7]))


def vq(name, cls, **k):
    def f():
        import vector_quantize_pytorch as v

        m = getattr(v, cls)(**k).eval()
        return W(m, lambda m, x: m(x)[:2]), (t(B, 6, 8),)

    NETS["vq-" + name] = f


vq("vq", "VectorQuantize", dim=8, codebook_size=16)
vq("vq_cosine", "VectorQuantize", dim=8, codebook_size=16, use_cosine_sim=True)
vq("residual", "ResidualVQ", dim=8, codebook_size=16, num_quantizers=2)
vq("fsq", "FSQ", levels=[8, 5, 5], dim=8)
vq("lfq", "LFQ", codebook_size=16, dim=8)
vq("rpq", "RandomProjectionQuantizer", dim=8, num_codebooks=1, codebook_dim=4, codebook_size=16)
NETS["vq-rpq"] = lambda: (
    (
        lambda v: W(
            v.RandomProjectionQuantizer(dim=8, num_codebooks=1, codebook_dim=4, codebook_size=16).eval(),
            lambda m, x: m(x),
        )
    )(importlib.import_module("vector_quantize_pytorch")),
    (t(B, 6, 8),),
)


def xt(name, build, *inputs):
    NETS["xt-" + name] = lambda: (build(importlib.import_module("x_transformers")), inputs)


xt(
    "decoder",
    lambda x: x.TransformerWrapper(
        num_tokens=16, max_seq_len=8, attn_layers=x.Decoder(dim=8, depth=1, heads=2, attn_dim_head=4)
    ),
    torch.randint(16, (B, 8)),
)
xt(
    "encoder_rotary",
    lambda x: x.TransformerWrapper(
        num_tokens=16,
        max_seq_len=8,
        attn_layers=x.Encoder(
            dim=8, depth=1, heads=2, attn_dim_head=32, rotary_pos_emb=True, use_rmsnorm=True, ff_glu=True
        ),
    ),
    torch.randint(16, (B, 8)),
)
xt(
    "continuous",
    lambda x: x.ContinuousTransformerWrapper(
        dim_in=3, dim_out=3, max_seq_len=8, attn_layers=x.Encoder(dim=8, depth=1, heads=2, attn_dim_head=4)
    ),
    t(B, 8, 3),
)
xt(
    "vit",
    lambda x: x.ViTransformerWrapper(
        image_size=8, patch_size=4, num_classes=3, attn_layers=x.Encoder(dim=8, depth=1, heads=2, attn_dim_head=4)
    ),
    t(B, 3, 8, 8),
)


@net
def audio_diffusion_unet():
    from audio_diffusion_pytorch import UNetV0

    return UNetV0(
        dim=1,
        in_channels=2,
        channels=[8, 8],
        factors=[1, 2],
        items=[1, 1],
        attentions=[0, 1],
        attention_heads=2,
        attention_features=4,
        resnet_groups=4,
    ), (t(B, 2, 16), torch.tensor([0.3, 0.7]))


@net
def audio_encoders_ae():
    from audio_encoders_pytorch import AutoEncoder1d

    m = AutoEncoder1d(in_channels=2, channels=8, multipliers=[1, 2], factors=[2], num_blocks=[1], resnet_groups=4)
    return W(m, lambda m, x: m.decode(m.encode(x))), (t(B, 2, 16),)


# timm


def timm(name, n, size=32, **k):
    NETS["timm-" + name] = lambda: (
        importlib.import_module("timm").create_model(n, pretrained=False, num_classes=3, **k),
        (t(B, 3, size, size),),
    )


timm("mobilenetv3", "mobilenetv3_small_050")
timm("convnext", "convnext_atto")
timm("efficientnet", "test_efficientnet")
timm("test_vit", "test_vit", 160)
timm("test_resnet", "test_resnet")
timm("test_nfnet", "test_nfnet")
timm("test_mambaout", "test_mambaout")
timm("test_convnext", "test_convnext")


# flows
@net
def nflows_maf():
    from nflows.transforms import MaskedAffineAutoregressiveTransform as M

    return W(M(6, 8), lambda m, x: m(x)), (t(B, 6),)


@net
def nflows_spline():
    from nflows.transforms import PiecewiseRationalQuadraticCouplingTransform as P
    from nflows.nn.nets import ResidualNet

    return W(
        P([1, 0, 1, 0], lambda i, o: ResidualNet(i, o, 8, num_blocks=1), tails="linear", num_bins=4),
        lambda m, x: m.inverse(x),
    ), (t(B, 4),)


@net
def normflows_realnvp():
    import normflows as nf

    b = torch.tensor([1.0, 0.0, 1.0, 0.0])
    s = nf.nets.MLP([4, 8, 4])
    tt = nf.nets.MLP([4, 8, 4])
    return W(
        nn.ModuleList(
            [
                nf.flows.MaskedAffineFlow(b, tt, s),
                nf.flows.MaskedAffineFlow(1 - b, tt, s),
            ]
        ),
        lambda m, z: m[1](m[0](z)[0])[0],
    ), (t(B, 4),)




# plain torch spellings
def tn(name, build, *inputs):
    NETS["torch-" + name] = lambda: (build(), inputs)


class Bilinear(nn.Module):
    def forward(self, x):
        return torch.nn.functional.interpolate(x, scale_factor=2, mode="bicubic", antialias=False)


tn(
    "transformer_enc",
    lambda: nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 1),
    t(B, 5, 8),
)
tn("transformer", lambda: nn.Transformer(8, 2, 1, 1, 16, batch_first=True), t(B, 5, 8), t(B, 4, 8))
tn(
    "transformer_mask",
    lambda: W(
        nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 1),
        lambda m, x: m(x, mask=nn.Transformer.generate_square_subsequent_mask(5), is_causal=True),
    ),
    t(B, 5, 8),
)
tn("mha", lambda: W(nn.MultiheadAttention(8, 2, batch_first=True), lambda m, x: m(x, x, x)), t(B, 5, 8))
tn(
    "fold_unfold",
    lambda: W(
        nn.Identity(), lambda m, x: nn.functional.fold(nn.functional.unfold(x, 2, stride=2), (8, 8), 2, stride=2)
    ),
    t(B, 3, 8, 8),
)
tn(
    "grid_sample",
    lambda: W(
        nn.Conv2d(3, 2, 3, padding=1),
        lambda m, x: nn.functional.grid_sample(x, m(x).permute(0, 2, 3, 1), align_corners=False),
    ),
    t(B, 3, 8, 8),
)
tn(
    "affine_grid",
    lambda: W(
        nn.Linear(3, 6),
        lambda m, x: nn.functional.grid_sample(
            x,
            nn.functional.affine_grid(m(x.mean((2, 3))).view(-1, 2, 3), x.shape, align_corners=False),
            align_corners=False,
        ),
    ),
    t(B, 3, 8, 8),
)
tn("adaptive_pool", lambda: nn.AdaptiveAvgPool2d((3, 2)), t(B, 3, 9, 8))
tn("adaptive_pool_odd", lambda: nn.AdaptiveAvgPool2d((3, 5)), t(B, 3, 7, 8))
tn(
    "pixel_unshuffle",
    lambda: nn.Sequential(nn.PixelUnshuffle(2), nn.Conv2d(4, 8, 1), nn.PixelShuffle(2)),
    t(B, 1, 8, 8),
)
tn(
    "minmax",
    lambda: W(
        nn.Linear(4, 4),
        lambda m, x: (m(x) - m(x).amin(1, keepdim=True))
        / (m(x).amax(1, keepdim=True) - m(x).amin(1, keepdim=True) + 1e-3),
    ),
    t(B, 4),
)
tn("topk", lambda: W(nn.Linear(4, 8), lambda m, x: torch.topk(m(x), 3)[0]), t(B, 4))
tn("sort", lambda: W(nn.Linear(4, 8), lambda m, x: torch.sort(m(x))[0]), t(B, 4))
tn("cumsum", lambda: W(nn.Linear(4, 8), lambda m, x: torch.cumsum(m(x), 1)), t(B, 4))
tn(
    "mdn",
    lambda: W(nn.Linear(4, 12), lambda m, x: (torch.softmax(m(x)[:, :4], 1), torch.exp(m(x)[:, 4:8]), m(x)[:, 8:])),
    t(B, 4),
)
tn(
    "conv3d",
    lambda: nn.Sequential(nn.Conv3d(1, 4, 3, padding=1), nn.BatchNorm3d(4), nn.ReLU(), nn.ConvTranspose3d(4, 1, 2, 2)),
    t(B, 1, 4, 6, 6),
)
tn(
    "embedding_gan",
    lambda: (lambda e, l: W(nn.ModuleList([e, l]), lambda m, z, c: m[1](torch.cat([z, m[0](c)], 1))))(
        nn.Embedding(10, 4), nn.Linear(8, 6)
    ),
    t(B, 4),
    torch.randint(10, (B,)),
)
tn(
    "embedding_mul",
    lambda: (lambda e, l: W(nn.ModuleList([e, l]), lambda m, z, c: m[1](z * m[0](c))))(
        nn.Embedding(10, 4), nn.Linear(4, 6)
    ),
    t(B, 4),
    torch.randint(10, (B,)),
)
tn(
    "onehot",
    lambda: W(nn.Linear(14, 6), lambda m, z, c: m(torch.cat([z, nn.functional.one_hot(c, 10).float()], 1))),
    t(B, 4),
    torch.randint(10, (B,)),
)
tn("reparam", lambda: W(nn.Linear(4, 8), lambda m, x: m(x)[:, :4] + 0 * torch.randn_like(m(x)[:, 4:])), t(B, 4))
tn(
    "spectral",
    lambda: nn.Sequential(
        nn.utils.parametrizations.spectral_norm(nn.Conv2d(3, 4, 3)),
        nn.utils.parametrizations.weight_norm(nn.Conv2d(4, 4, 3)),
    ),
    t(B, 3, 8, 8),
)
tn(
    "spectral_old",
    lambda: nn.Sequential(nn.utils.spectral_norm(nn.Conv2d(3, 4, 3)), nn.utils.weight_norm(nn.Conv2d(4, 4, 3))),
    t(B, 3, 8, 8),
)
tn("lstm_cell", lambda: W(nn.LSTMCell(3, 4), lambda m, x, h, c: m(x, (h, c))), t(B, 3), t(B, 4), t(B, 4))
tn("gru_cell", lambda: W(nn.GRUCell(3, 4), lambda m, x, h: m(x, h)), t(B, 3), t(B, 4))
tn("lstm_proj", lambda: W(nn.LSTM(3, 6, batch_first=True, proj_size=4), lambda m, x: m(x)[0]), t(B, 5, 3))
tn("lstm_seq_loop", lambda: W(nn.ModuleList([nn.LSTMCell(3, 3)]), lambda m, z: seqloop(m[0], z)), t(B, 3))


def seqloop(cell, z):
    h = torch.zeros_like(z)
    c = torch.zeros_like(z)
    out = []
    for _ in range(4):
        h, c = cell(z, (h, c))
        out.append(h)
        z = h
    return torch.stack(out, 1)


tn(
    "modulated_conv",
    lambda: (lambda w, s: W(nn.ModuleList([w, s]), lambda m, x, y: modconv(m[0].weight, m[1](y), x)))(
        nn.Conv2d(3, 4, 3, bias=False), nn.Linear(5, 3)
    ),
    t(B, 3, 8, 8),
    t(B, 5),
)


def modconv(w, s, x):
    b, c, h, wd = x.shape
    k = w[None] * (s[:, None, :, None, None] + 1)
    k = k * torch.rsqrt(k.pow(2).sum((2, 3, 4), keepdim=True) + 1e-8)
    x = x.reshape(1, -1, h, wd)
    k = k.reshape(-1, *k.shape[2:])
    return nn.functional.conv2d(x, k, padding=1, groups=b).reshape(b, -1, h, wd)


tn(
    "hypernet_linear",
    lambda: W(nn.ModuleList([nn.Linear(4, 12)]), lambda m, z, x: torch.bmm(x, m[0](z).view(-1, 3, 4))),
    t(B, 4),
    t(B, 5, 3),
)
tn("where_data", lambda: W(nn.Linear(4, 4), lambda m, x: torch.where(m(x) > 0, m(x) * 2, x)), t(B, 4))
tn(
    "masked_fill",
    lambda: W(
        nn.Linear(4, 4),
        lambda m, x: torch.softmax(m(x).masked_fill(torch.ones(4, 4).tril()[None] == 0, float("-inf")), -1),
    ),
    t(B, 4, 4),
)
tn("clamp_min_max", lambda: W(nn.Linear(4, 4), lambda m, x: torch.maximum(m(x), torch.minimum(x, m(x) * 2))), t(B, 4))
tn(
    "norms",
    lambda: W(
        nn.Linear(4, 4),
        lambda m, x: torch.nn.functional.normalize(m(x), dim=1) * x.norm(p=1, dim=1, keepdim=True)
        + x.std(1, keepdim=True)
        + x.var(1, keepdim=True, unbiased=False),
    ),
    t(B, 4),
)
tn("logsumexp", lambda: W(nn.Linear(4, 4), lambda m, x: torch.logsumexp(m(x), 1)), t(B, 4))
tn(
    "atan",
    lambda: W(
        nn.Linear(4, 4),
        lambda m, x: torch.atan(m(x))
        + torch.tan(m(x) * 0.1)
        + torch.sinh(x * 0.1)
        + torch.cosh(x * 0.1)
        + torch.asinh(x)
        + torch.log1p(x.abs())
        + torch.expm1(x * 0.1)
        + torch.sign(x)
        + torch.atan2(x, m(x).abs() + 1),
    ),
    t(B, 4),
)
tn(
    "fmod",
    lambda: W(
        nn.Linear(4, 4),
        lambda m, x: torch.fmod(m(x), 2.0)
        + torch.remainder(x, 1.5)
        + torch.ceil(x)
        + torch.trunc(m(x))
        + torch.frac(x),
    ),
    t(B, 4),
)
tn("gumbel", lambda: W(nn.Linear(4, 4), lambda m, x: torch.nn.functional.one_hot(m(x).argmax(1), 4).float()), t(B, 4))
tn(
    "stft",
    lambda: W(
        nn.Identity(),
        lambda m, x: torch.view_as_real(torch.stft(x, 8, 4, window=torch.hann_window(8), return_complex=True)),
    ),
    t(B, 32),
)
tn(
    "istft",
    lambda: W(nn.Identity(), lambda m, x, y: torch.fft.irfft(torch.complex(x, y), n=8, dim=-1)),
    t(B, 4, 5),
    t(B, 4, 5),
)
tn("einsum", lambda: W(nn.Linear(4, 4), lambda m, x: torch.einsum("bij,bkj->bik", m(x), x)), t(B, 3, 4))
tn("flip_roll", lambda: W(nn.Linear(4, 4), lambda m, x: torch.roll(m(x), 2, 1) + torch.flip(x, [1])), t(B, 4))
tn(
    "instance_adain",
    lambda: W(nn.ModuleList([nn.Linear(5, 6)]), lambda m, x, s: adain(m[0](s), x)),
    t(B, 3, 8, 8),
    t(B, 5),
)


def adain(s, x):
    a, b = s.chunk(2, 1)
    return nn.functional.instance_norm(x) * (1 + a[:, :, None, None]) + b[:, :, None, None]


tn(
    "cond_bn",
    lambda: (
        lambda e: W(
            nn.ModuleList([nn.BatchNorm2d(3, affine=False), e]), lambda m, x, c: m[0](x) * m[1](c).view(-1, 3, 1, 1)
        )
    )(nn.Embedding(10, 3)),
    t(B, 3, 8, 8),
    torch.randint(10, (B,)),
)
tn(
    "blur_pool",
    lambda: W(
        nn.Identity(),
        lambda m, x: nn.functional.conv2d(
            nn.functional.pad(x, (1, 1, 1, 1), mode="reflect"), torch.ones(3, 1, 3, 3) / 9, stride=2, groups=3
        ),
    ),
    t(B, 3, 8, 8),
)
tn(
    "max_unpool",
    lambda: W(
        nn.Identity(), lambda m, x: nn.functional.max_unpool2d(*nn.functional.max_pool2d(x, 2, return_indices=True), 2)
    ),
    t(B, 3, 8, 8),
)
tn(
    "upsample_modes",
    lambda: nn.Sequential(
        nn.Upsample(scale_factor=1.5, mode="bilinear"),
        nn.Upsample(size=(20, 18), mode="nearest"),
        nn.Upsample(scale_factor=2, mode="bicubic", align_corners=True),
    ),
    t(B, 3, 8, 8),
)
tn(
    "upsample1d",
    lambda: nn.Sequential(
        nn.Upsample(scale_factor=2, mode="linear"),
        nn.Conv1d(3, 4, 3, padding=1, padding_mode="circular"),
        nn.ConvTranspose1d(4, 2, 4, 2, 1, output_padding=1),
    ),
    t(B, 3, 8),
)
tn(
    "weight_std",
    lambda: W(
        nn.Conv2d(3, 4, 3),
        lambda m, x: nn.functional.conv2d(
            x,
            (m.weight - m.weight.mean((1, 2, 3), keepdim=True)) / (m.weight.std((1, 2, 3), keepdim=True) + 1e-5),
            m.bias,
        ),
    ),
    t(B, 3, 8, 8),
)
tn(
    "sinusoid_t",
    lambda: W(
        nn.Linear(8, 4),
        lambda m, k: m(
            torch.cat(
                [
                    (k[:, None].float() * torch.exp(-torch.arange(4) * 2.3)[None]).sin(),
                    (k[:, None].float() * torch.exp(-torch.arange(4) * 2.3)[None]).cos(),
                ],
                1,
            )
        ),
    ),
    torch.tensor([3, 7]),
)


def record(name, out, kinds=("ts", "dyn", "dynb")):
    torch.manual_seed(sum(map(ord, name)))
    m, args = NETS[name]()
    m = m.eval()
    for p in m.parameters():
        if p.numel() and not p.abs().sum():
            nn.init.normal_(p, std=0.1)
    with torch.no_grad():
        for b_name, b_ in m.named_buffers():
            if b_name.endswith("running_var"):
                b_.uniform_(0.5, 1.5)
            if b_name.endswith("running_mean"):
                b_.normal_(0, 0.3)
    names = [f"x{i}" for i in range(len(args))]

    def save(file, a):
        with torch.no_grad():
            y = m(*a)
        y = y if isinstance(y, (tuple, list)) else (y,)
        import onnx

        g = onnx.load(file, load_external_data=False).graph
        ins = [i.name for i in g.input]
        outs = [o.name for o in g.output]
        if len(ins) != len(a):
            ins = [n for n in names if n in ins]
        d = {}
        for i, v in zip(names, a):
            if i in ins:
                d["in_" + i] = v.numpy()
        if not d:
            d = {"in_" + i: v.numpy() for i, v in zip(ins, a)}
        for o, v in zip(outs, y):
            d["out_" + o] = v.numpy()
        np.savez_compressed(file[:-5] + ".npz", **d)

    for kind in kinds:
        f = f"{out}/{name}.{kind}.onnx"
        try:
            if kind == "ts":
                torch.onnx.export(
                    m,
                    args,
                    f,
                    dynamo=False,
                    opset_version=17,
                    input_names=names,
                    dynamic_axes={n: {0: "b"} for n in names},
                )
                save(f, args)
            elif kind == "dyn":
                a1 = tuple(x[:1] for x in args)
                torch.onnx.export(m, a1, f, input_names=names, verbose=False)
                save(f, a1)
            else:
                torch.onnx.export(
                    m,
                    args,
                    f,
                    input_names=names,
                    dynamic_shapes=(
                        tuple({0: torch.export.Dim("b")} for _ in args)
                        if not isinstance(m, W)
                        else {"a": tuple({0: torch.export.Dim("b")} for _ in args)}
                    ),
                    verbose=False,
                )
                save(f, args)
        except Exception as e:
            for x in (f, f + ".data", f[:-5] + ".npz"):
                if os.path.exists(x):
                    os.remove(x)
            print("noexport", name, kind, type(e).__name__, str(e).strip().split("\n")[0][:140], flush=True)


if __name__ == "__main__":
    out = sys.argv[1]
    torch.set_num_threads(1)
    for name in sys.argv[2:] or list(NETS):
        if not sys.argv[2:] and os.path.exists(f"{out}/{name}.ts.onnx"):
            continue
        try:
            record(name, out)
        except Exception as e:
            print("nobuild", name, type(e).__name__, str(e)[:160].replace("\n", " "), flush=True)
