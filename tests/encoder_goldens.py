"""Golden numbers of encoders with formula weights, computed by PyTorch and torchvision in f64.

    python3 tests/encoder_goldens.py FOLDER [NETWORK ..]     (PyTorch >= 1.13, torchvision >= 0.14, safetensors not needed)

Writes FOLDER/formula_<network>.safetensors with tap1.., penultimate and logits of two formula images; crates/encoders/golden
holds what it wrote. Formula weights and images are those of crates/encoders/src/formula.rs. The networks of torchvision are
torchvision's own; those of 32 px are written here after their authors' code (OpenOOD's ResNet18_32x32 and WideResNet,
pytorch_resnet_cifar10, the DenseNet of ODIN and DICE); ViT-B/16 is torchvision's under timm's names.
"""
import json
import math
import struct
import sys

import torch
import torch.nn as nn
import torch.nn.functional as F
import torchvision


def formula_state(state):
    """Fills a state dictionary; k counts its names in byte order."""
    filled = {}
    for k, name in enumerate(sorted(state)):
        tensor = state[name]
        if not tensor.is_floating_point():
            filled[name] = tensor
            continue
        i = torch.arange(tensor.numel(), dtype=torch.float64)
        s = torch.sin(0.7 * i + 1.3 * k + 0.001 * i * ((k % 7) + 1))
        if name.endswith("running_var"):
            values = 1 + 0.5 * s
        elif name.endswith("running_mean") or name.endswith("bias"):
            values = 0.1 * s
        elif tensor.dim() == 1:
            values = 1 + 0.2 * s
        else:
            values = s * math.sqrt(3 / (tensor.numel() // tensor.shape[0]))
        # Weights are stored as f32; the computation is f64.
        filled[name] = values.reshape(tensor.shape).float().double()
    return filled


def formula_images(count, side):
    b = torch.arange(count, dtype=torch.float64).view(-1, 1, 1, 1)
    c = torch.arange(3, dtype=torch.float64).view(1, -1, 1, 1)
    h = torch.arange(side, dtype=torch.float64).view(1, 1, -1, 1)
    w = torch.arange(side, dtype=torch.float64).view(1, 1, 1, -1)
    images = torch.sin(0.05 * h + 0.3 * c + 0.9 * b) * torch.cos(0.07 * w - 0.2 * c + 0.4 * b)
    return images.float().double()


class BasicBlock32(nn.Module):
    """OpenOOD: ResNet18_32x32."""

    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.shortcut = nn.Sequential()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x):
        out = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(out)) + self.shortcut(x))


class ResNet18x32(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        inputs = 64
        for stage in range(4):
            outputs = 64 << stage
            blocks = [BasicBlock32(inputs, outputs, 1 if stage == 0 else 2), BasicBlock32(outputs, outputs, 1)]
            setattr(self, f"layer{stage + 1}", nn.Sequential(*blocks))
            inputs = outputs
        self.fc = nn.Linear(512, 10)

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        taps = []
        for stage in range(4):
            x = getattr(self, f"layer{stage + 1}")(x)
            taps.append(x)
        p = x.mean((2, 3))
        return taps, p, self.fc(p)


class WideBlock(nn.Module):
    """OpenOOD: wrn.py."""

    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.equal = inputs == outputs
        self.convShortcut = None if self.equal else nn.Conv2d(inputs, outputs, 1, stride, 0, bias=False)

    def forward(self, x):
        if not self.equal:
            x = F.relu(self.bn1(x))
        else:
            out = F.relu(self.bn1(x))
        out = F.relu(self.bn2(self.conv1(out if self.equal else x)))
        out = self.conv2(out)
        return torch.add(x if self.equal else self.convShortcut(x), out)


class Layers(nn.Module):
    def __init__(self, blocks):
        super().__init__()
        self.layer = nn.Sequential(*blocks)

    def forward(self, x):
        return self.layer(x)


class WideResNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        inputs = 16
        for stage, outputs in enumerate((32, 64, 128)):
            stride = 1 if stage == 0 else 2
            blocks = [WideBlock(inputs if i == 0 else outputs, outputs, stride if i == 0 else 1) for i in range(6)]
            setattr(self, f"block{stage + 1}", Layers(blocks))
            inputs = outputs
        self.bn1 = nn.BatchNorm2d(128)
        self.fc = nn.Linear(128, 10)

    def forward(self, x):
        x = self.conv1(x)
        taps = []
        for stage in range(3):
            x = getattr(self, f"block{stage + 1}")(x)
            taps.append(x)
        p = F.relu(self.bn1(x)).mean((2, 3))
        return taps, p, self.fc(p)


class CifarBlock(nn.Module):
    """pytorch_resnet_cifar10, option A."""

    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.pad = outputs // 4 if stride != 1 or inputs != outputs else None

    def forward(self, x):
        out = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        if self.pad is not None:
            x = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.pad, self.pad), "constant", 0)
        return F.relu(out + x)


class CifarResNet(nn.Module):
    def __init__(self, blocks):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        inputs = 16
        for stage, outputs in enumerate((16, 32, 64)):
            made = [CifarBlock(inputs if i == 0 else outputs, outputs, 2 if stage and i == 0 else 1) for i in range(blocks)]
            setattr(self, f"layer{stage + 1}", nn.Sequential(*made))
            inputs = outputs
        self.linear = nn.Linear(64, 10)

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        taps = []
        for stage in range(3):
            x = getattr(self, f"layer{stage + 1}")(x)
            taps.append(x)
        p = x.mean((2, 3))
        return taps, p, self.linear(p)


class DenseLayer(nn.Module):
    def __init__(self, inputs, growth=12):
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inputs)
        self.conv1 = nn.Conv2d(inputs, 4 * growth, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(4 * growth)
        self.conv2 = nn.Conv2d(4 * growth, growth, 3, 1, 1, bias=False)

    def forward(self, x):
        out = self.conv1(F.relu(self.bn1(x)))
        return torch.cat([x, self.conv2(F.relu(self.bn2(out)))], 1)


class Transition(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv1 = nn.Conv2d(channels, channels // 2, 1, bias=False)

    def forward(self, x):
        return F.avg_pool2d(self.conv1(F.relu(self.bn1(x))), 2)


class DenseNet100(nn.Module):
    def __init__(self):
        super().__init__()
        channels = 24
        self.conv1 = nn.Conv2d(3, channels, 3, 1, 1, bias=False)
        for block in (1, 2, 3):
            setattr(self, f"block{block}", Layers([DenseLayer(channels + 12 * i) for i in range(16)]))
            channels += 12 * 16
            if block < 3:
                setattr(self, f"trans{block}", Transition(channels))
                channels //= 2
        self.bn1 = nn.BatchNorm2d(channels)
        self.fc = nn.Linear(channels, 10)

    def forward(self, x):
        x = self.conv1(x)
        taps = []
        for block in (1, 2, 3):
            x = getattr(self, f"block{block}")(x)
            taps.append(x)
            if block < 3:
                x = getattr(self, f"trans{block}")(x)
        p = F.relu(self.bn1(x)).mean((2, 3))
        return taps, p, self.fc(p)


def torchvision_resnet(name):
    net = getattr(torchvision.models, name)(weights=None)

    def run(x):
        x = net.maxpool(net.relu(net.bn1(net.conv1(x))))
        taps = []
        for stage in (1, 2, 3, 4):
            x = getattr(net, f"layer{stage}")(x)
            taps.append(x)
        p = x.mean((2, 3))
        return taps, p, net.fc(p)

    return net, {name: name for name in net.state_dict()}, run


def torchvision_efficientnet(name):
    """torchvision's network under EfficientNet-PyTorch's names."""
    net = getattr(torchvision.models, name)(weights=None)
    names, block, tapped = {}, 0, []

    def unit(ours, theirs, norm=None, norm_theirs=None):
        names[f"{ours}.weight"] = f"{theirs}.weight"
        if norm is None:
            names[f"{ours}.bias"] = f"{theirs}.bias"
        else:
            for part in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked"):
                names[f"{norm}.{part}"] = f"{norm_theirs}.{part}"

    unit("_conv_stem", "features.0.0", "_bn0", "features.0.1")
    for stage in range(1, 8):
        for i, module in enumerate(net.features[stage]):
            ours, theirs = f"_blocks.{block}", f"features.{stage}.{i}.block"
            at = 0
            if len(module.block) == 4:
                unit(f"{ours}._expand_conv", f"{theirs}.0.0", f"{ours}._bn0", f"{theirs}.0.1")
                at = 1
            unit(f"{ours}._depthwise_conv", f"{theirs}.{at}.0", f"{ours}._bn1", f"{theirs}.{at}.1")
            unit(f"{ours}._se_reduce", f"{theirs}.{at + 1}.fc1")
            unit(f"{ours}._se_expand", f"{theirs}.{at + 1}.fc2")
            unit(f"{ours}._project_conv", f"{theirs}.{at + 2}.0", f"{ours}._bn2", f"{theirs}.{at + 2}.1")
            block += 1
    unit("_conv_head", "features.8.0", "_bn1", "features.8.1")
    unit("_fc", "classifier.1")

    def run(x):
        taps = []
        for stage in range(9):
            x = net.features[stage](x)
            if stage in (1, 2, 3, 5, 7):
                taps.append(x)
        p = x.mean((2, 3))
        return taps, p, net.classifier[1](p)

    return net, names, run


def vit():
    """torchvision's vit_b_16 under timm's names."""
    net = torchvision.models.vit_b_16(weights=None)
    names = {"cls_token": "class_token", "pos_embed": "encoder.pos_embedding"}
    for part in ("weight", "bias"):
        names[f"patch_embed.proj.{part}"] = f"conv_proj.{part}"
        names[f"norm.{part}"] = f"encoder.ln.{part}"
        names[f"head.{part}"] = f"heads.head.{part}"
        for i in range(12):
            theirs = f"encoder.layers.encoder_layer_{i}"
            names[f"blocks.{i}.norm1.{part}"] = f"{theirs}.ln_1.{part}"
            names[f"blocks.{i}.attn.qkv.{part}"] = f"{theirs}.self_attention.in_proj_{part}"
            names[f"blocks.{i}.attn.proj.{part}"] = f"{theirs}.self_attention.out_proj.{part}"
            names[f"blocks.{i}.norm2.{part}"] = f"{theirs}.ln_2.{part}"
            names[f"blocks.{i}.mlp.fc1.{part}"] = f"{theirs}.mlp.0.{part}"
            names[f"blocks.{i}.mlp.fc2.{part}"] = f"{theirs}.mlp.3.{part}"

    def run(x):
        x = net._process_input(x)
        x = torch.cat([net.class_token.expand(x.shape[0], -1, -1), x], 1) + net.encoder.pos_embedding
        taps = []
        for layer in net.encoder.layers:
            x = layer(x)
            taps.append(x[:, 1:].transpose(1, 2).unsqueeze(-1))
        p = net.encoder.ln(x)[:, 0]
        return taps, p, net.heads.head(p)

    return net, names, run


def own(net):
    return net, {name: name for name in net.state_dict()}, net


NETWORKS = {
    "densenet100": (lambda: own(DenseNet100()), 32),
    "efficientnet-b0-symmetric": (lambda: torchvision_efficientnet("efficientnet_b0"), 224),
    "efficientnet-b4-symmetric": (lambda: torchvision_efficientnet("efficientnet_b4"), 224),
    "efficientnet-b5-symmetric": (lambda: torchvision_efficientnet("efficientnet_b5"), 224),
    "resnet18": (lambda: torchvision_resnet("resnet18"), 224),
    "resnet18-32": (lambda: own(ResNet18x32()), 32),
    "resnet20": (lambda: own(CifarResNet(3)), 32),
    "resnet34": (lambda: torchvision_resnet("resnet34"), 224),
    "resnet50": (lambda: torchvision_resnet("resnet50"), 224),
    "resnet56": (lambda: own(CifarResNet(9)), 32),
    "resnet101": (lambda: torchvision_resnet("resnet101"), 224),
    "vit-b16": (vit, 224),
    "wrn-40-2": (lambda: own(WideResNet()), 32),
}


def write_safetensors(path, tensors, metadata):
    header, blobs, offset = {"__metadata__": metadata}, [], 0
    for name, tensor in sorted(tensors.items()):
        blob = tensor.float().contiguous().numpy().astype("<f4").tobytes()
        header[name] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": [offset, offset + len(blob)]}
        blobs.append(blob)
        offset += len(blob)
    text = json.dumps(header, sort_keys=True).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + b"".join(blobs))


def main():
    folder, wanted = sys.argv[1], sys.argv[2:] or sorted(NETWORKS)
    for name in wanted:
        make, side = NETWORKS[name]
        net, names, run = make()
        net.double().eval()
        theirs = net.state_dict()
        missing = set(theirs) - set(names.values())
        assert not missing, f"{name}: {missing}"
        filled = formula_state({ours: theirs[their] for ours, their in names.items()})
        net.load_state_dict({names[ours]: tensor for ours, tensor in filled.items()})
        with torch.no_grad():
            taps, penultimate, logits = run(formula_images(2, side))
        tensors = {f"tap{i + 1}": tap.mean((2, 3)) for i, tap in enumerate(taps)}
        tensors.update(penultimate=penultimate, logits=logits)
        if name != "vit-b16":
            # DLSR's released neck: a stage of stride s is resampled by s / 16, corners aligned, before it is averaged.
            for i, tap in enumerate(taps):
                scaled = max(1, tap.shape[-1] * (side // tap.shape[-1]) // 16)
                tap = F.interpolate(tap, size=(scaled, scaled), mode="bilinear", align_corners=True)
                tensors[f"tap{i + 1}_released"] = tap.mean((2, 3))
        versions = {"torch": torch.__version__, "torchvision": torchvision.__version__}
        write_safetensors(f"{folder}/formula_{name}.safetensors", tensors, {**versions, "resolution": str(side), "computed": "f64"})
        print(name, len(filled), "tensors", {key: list(value.shape) for key, value in tensors.items()})


main()
