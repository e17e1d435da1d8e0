"""Writes the golden files of resizing: `python resize_filters.py pillow` and `python resize_filters.py torch`.

`resize_filters`: Pillow's five filters; made with Pillow 12 (its version is in the file), which shrinks columns first, as all
versions before; Pillow 13 takes rows first where heights shrink more. `resize_plain`: torch's interpolation without antialiasing,
clamped and rounded as torchvision does it to `uint8` tensors; made with torch 1.13.1. Tensors are `[3, height, width]` u8:
`NAME` is an image, `NAME.FILTER.WIDTHxHEIGHT` what becomes of it.
"""

import json
import sys

import numpy as np

SIZES = [(7, 5), (16, 16), (45, 30), (31, 9), (1, 1), (64, 64)]
rng = np.random.default_rng(0)
y, x = np.mgrid[0:33, 0:31].astype(float)
smooth = np.stack([127 + 120 * np.sin(x / 4), 127 + 120 * np.cos(y / 3), 4 * (x + y)], -1)
images = {
    "noise": rng.integers(0, 256, (17, 23, 3)).astype(np.uint8),
    "edges": (255 * ((x[..., None] + 2 * y[..., None]) % [5, 7, 9] < 3)).astype(np.uint8),
    "smooth": np.clip(smooth + rng.normal(0, 5, smooth.shape), 0, 255).astype(np.uint8),
}
tensors = {name: image.transpose(2, 0, 1) for name, image in images.items()}

if sys.argv[1] == "pillow":
    import PIL
    from PIL import Image

    stem, made_with = "resize_filters", f"Pillow {PIL.__version__}"
    for name, image in images.items():
        for size in SIZES:
            for kind in ("nearest", "box", "bilinear", "bicubic", "lanczos"):
                resized = Image.fromarray(image).resize(size, Image.Resampling[kind.upper()])
                tensors[f"{name}.{kind}.{size[0]}x{size[1]}"] = np.asarray(resized).transpose(2, 0, 1)
else:
    import torch

    stem, made_with = "resize_plain", f"torch {torch.__version__}"
    for name, image in images.items():
        source = torch.from_numpy(image.transpose(2, 0, 1).astype(np.float32))[None]
        for width, height in SIZES:
            for kind in ("bilinear", "bicubic"):
                out = torch.nn.functional.interpolate(
                    source, size=(height, width), mode=kind, align_corners=False, antialias=False
                )
                out = out[0].clamp(0, 255).round().to(torch.uint8)
                tensors[f"{name}.{kind}.{width}x{height}"] = out.numpy()

header, data = {"__metadata__": {"made_with": json.dumps(made_with)}}, b""
for name, tensor in sorted(tensors.items()):
    raw = np.ascontiguousarray(tensor).tobytes()
    header[name] = {"dtype": "U8", "shape": list(tensor.shape), "data_offsets": [len(data), len(data) + len(raw)]}
    data += raw
text = json.dumps(header).encode()
text += b" " * (-len(text) % 8)
with open(f"{stem}.safetensors", "wb") as file:
    file.write(len(text).to_bytes(8, "little") + text + data)
