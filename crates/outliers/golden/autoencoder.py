"""Latents and images of a tiny autoencoder with few channels, by numpy alone.

    python autoencoder.py

writes autoencoder.safetensors beside it: two images of 16 x 16 pixels, their latents, other latents and the images
decoded from them. Weights are not stored but made by a formula from the place of a tensor's name among all names of its network, sorted by
bytes, and the place of the value in the tensor. f64 throughout; written from the description of the layers, without a look at the crate.
"""

import pathlib

import numpy as np
from safetensors.numpy import save_file

COLOURS, INNER, INSIDE, LATENT = 3, 4, 8, 2


def block(names, position, pool=False):
    for layer in (0, 2, 4):
        names[f"{position}.conv.{layer}.weight"] = (INNER, INNER, 3, 3)
        names[f"{position}.conv.{layer}.bias"] = (INNER,)
    if pool:
        names[f"{position}.pool.0.weight"] = (INSIDE, INNER, 1, 1)
        names[f"{position}.pool.1.weight"] = (INSIDE,)
        names[f"{position}.pool.1.bias"] = (INSIDE,)
        names[f"{position}.pool.3.weight"] = (INNER, INSIDE, 1, 1)


def encoder_layout():
    names = {"0.weight": (INNER, COLOURS, 3, 3), "0.bias": (INNER,)}
    block(names, 1)
    for position in (2, 6, 10):
        names[f"{position}.weight"] = (INNER, INNER, 3, 3)
        for place in range(1, 4):
            block(names, position + place, pool=position == 10)
    names |= {"14.weight": (LATENT, INNER, 3, 3), "14.bias": (LATENT,)}
    return names


def decoder_layout():
    names = {"1.weight": (INNER, LATENT, 3, 3), "1.bias": (INNER,)}
    for position in (3, 8, 13):
        for place in range(3):
            block(names, position + place, pool=position == 3)
        names[f"{position + 4}.weight"] = (INNER, INNER, 3, 3)
    block(names, 18)
    names |= {"19.weight": (COLOURS, INNER, 3, 3), "19.bias": (COLOURS,)}
    return names


def formula(layout):
    made = {}
    for place, name in enumerate(sorted(layout)):
        count = int(np.prod(layout[name]))
        steps = (17 * place + 7 * np.arange(count) + 5 * (np.arange(count) // 9)) % 31
        made[name] = ((steps - 15) / 64).reshape(layout[name])
    return made


def convolve(x, weight, bias=None, stride=1):
    height, width = x.shape[1:]
    padding = weight.shape[2] // 2
    padded = np.pad(x, ((0, 0), (padding, padding), (padding, padding)))
    result = np.zeros((weight.shape[0], height // stride, width // stride))
    for dy in range(weight.shape[2]):
        for dx in range(weight.shape[3]):
            seen = padded[:, dy : dy + height : stride, dx : dx + width : stride]
            result += np.einsum("oc,chw->ohw", weight[:, :, dy, dx], seen)
    return result if bias is None else result + bias[:, None, None]


def relu(x):
    return np.maximum(x, 0)


def run_block(w, position, x):
    if f"{position}.pool.0.weight" in w:
        y = convolve(x, w[f"{position}.pool.0.weight"])
        groups = y.reshape(4, -1)
        groups = (groups - groups.mean(1, keepdims=True)) / np.sqrt(groups.var(1, keepdims=True) + 1e-5)
        y = groups.reshape(y.shape) * w[f"{position}.pool.1.weight"][:, None, None]
        y = y + w[f"{position}.pool.1.bias"][:, None, None]
        x = x + convolve(relu(y), w[f"{position}.pool.3.weight"])
    y = x
    for layer in (0, 2, 4):
        y = convolve(y, w[f"{position}.conv.{layer}.weight"], w[f"{position}.conv.{layer}.bias"])
        y = relu(y) if layer < 4 else y
    return relu(x + y)


def encode(w, x):
    x = run_block(w, 1, convolve(x, w["0.weight"], w["0.bias"]))
    for position in (2, 6, 10):
        x = convolve(x, w[f"{position}.weight"], stride=2)
        for place in range(1, 4):
            x = run_block(w, position + place, x)
    return convolve(x, w["14.weight"], w["14.bias"])


def decode(w, z):
    x = relu(convolve(3 * np.tanh(z / 3), w["1.weight"], w["1.bias"]))
    for position in (3, 8, 13):
        for place in range(3):
            x = run_block(w, position + place, x)
        x = convolve(x.repeat(2, axis=1).repeat(2, axis=2), w[f"{position + 4}.weight"])
    x = run_block(w, 18, x)
    return convolve(x, w["19.weight"], w["19.bias"])


draw = np.random.default_rng(20261123)
pixels = draw.uniform(0, 1, (2, COLOURS, 16, 16)).astype(np.float32)
latents = draw.normal(0, 3, (2, LATENT, 2, 2)).astype(np.float32)
encoder, decoder = formula(encoder_layout()), formula(decoder_layout())
made = np.stack([encode(encoder, x) for x in pixels.astype(np.float64)])
decoded = np.stack([decode(decoder, z) for z in latents.astype(np.float64)])
print("latents", made.min(), made.max(), made.std(), "decoded", decoded.min(), decoded.max(), decoded.std())
save_file(
    {"pixels": pixels, "encoded": made, "latents": latents, "decoded": decoded},
    pathlib.Path(__file__).with_name("autoencoder.safetensors"),
)
