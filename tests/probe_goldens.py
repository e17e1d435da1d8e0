"""What probes read of ResNet-20 with formula weights: the numbers in crates/encoders/src/probe/tests.rs.

    python tests/probe_goldens.py

numpy alone, in f64: the network written out, singular values by LAPACK, slopes by differences. The weights and the image are those of
crates/encoders/src/formula.rs.
"""

import numpy as np

shapes = {}


def normed(conv, norm, outputs, inputs):
    shapes[f"{conv}.weight"] = (outputs, inputs, 3, 3)
    for part in ("weight", "bias", "running_mean", "running_var"):
        shapes[f"{norm}.{part}"] = (outputs,)
    shapes[f"{norm}.num_batches_tracked"] = ()


normed("conv1", "bn1", 16, 3)
for stage in range(3):
    outputs = 16 << stage
    for block in range(3):
        inputs = outputs // 2 if block == 0 and stage > 0 else outputs
        part = f"layer{stage + 1}.{block}."
        normed(f"{part}conv1", f"{part}bn1", outputs, inputs)
        normed(f"{part}conv2", f"{part}bn2", outputs, outputs)
shapes |= {"linear.weight": (10, 64), "linear.bias": (10,)}

weights = {}
for k, name in enumerate(sorted(shapes)):
    shape = shapes[name]
    i = np.arange(int(np.prod(shape)))
    s = np.sin(0.7 * i + 1.3 * k + 0.001 * i * (k % 7 + 1)).reshape(shape)
    if name.endswith("running_var"):
        s = 1 + 0.5 * s
    elif len(shape) > 1:
        s = s * np.sqrt(3 / np.prod(shape[1:]))
    elif name.endswith("weight"):
        s = 1 + 0.2 * s
    else:
        s = 0.1 * s
    weights[name] = s


def convolve(x, name, norm, stride):
    """3 x 3, zeros around, then the batch norm."""
    w, padded, side = weights[f"{name}.weight"], np.pad(x, ((0, 0), (1, 1), (1, 1))), x.shape[1] // stride
    out = np.zeros((len(w), side, side))
    for row in range(3):
        for column in range(3):
            window = padded[:, row : row + stride * side : stride, column : column + stride * side : stride]
            out += np.tensordot(w[:, :, row, column], window, 1)
    factor, shift, mean, variance = (
        weights[f"{norm}.{part}"][:, None, None] for part in ("weight", "bias", "running_mean", "running_var")
    )
    return (out - mean) / np.sqrt(variance + 1e-5) * factor + shift


def run(x, stage):
    for block in range(3):
        stride, part = 2 if block == 0 and stage > 0 else 1, f"layer{stage + 1}.{block}."
        inner = np.maximum(convolve(x, f"{part}conv1", f"{part}bn1", stride), 0)
        inner = convolve(inner, f"{part}conv2", f"{part}bn2", 1)
        if stride == 2:
            x = np.pad(x[:, ::2, ::2], ((len(x) // 2,) * 2, (0, 0), (0, 0)))
        x = np.maximum(inner + x, 0)
    return x


def classify(vector):
    return weights["linear.weight"] @ vector + weights["linear.bias"]


def without_first(x):
    u, s, v = np.linalg.svd(x.reshape(len(x), -1), full_matrices=False)
    return x - (s[0] * np.outer(u[:, 0], v[0])).reshape(x.shape)


h, w = np.mgrid[0:32, 0:32]
image = np.stack([np.sin(0.05 * h + 0.3 * c) * np.cos(0.07 * w - 0.2 * c) for c in range(3)])
stage2 = run(run(np.maximum(convolve(image, "conv1", "bn1", 1), 0), 0), 1)
stage3 = run(stage2, 2)
penultimate = stage3.mean((1, 2))

last, before = without_first(stage3), run(without_first(stage2), 2)
print("rankfeat", ((classify(last.mean((1, 2))) + classify(before.mean((1, 2)))) / 2).round(3).tolist())

for name, values, power in (("stage2", stage2, 1), ("stage2", stage2, 5), ("penultimate", penultimate, 2)):
    raised = values.reshape(len(values), -1) ** power
    sums = (raised @ raised.T).sum(1) ** (1 / power)
    print("gram", name, power, sums.min(), sums.max(), sums.sum())


def divergence(vector):
    """Of the uniform distribution from the predicted one; logits over 100000, where no class has all of the probability."""
    logits = 1e-5 * classify(vector)
    return np.log(np.exp(logits).sum()) - logits.mean()


def states(values, divergence_of, count, step=0.01):
    found = []
    for channel in range(count):
        moved = np.zeros_like(values)
        moved[channel] = step
        slope = (divergence_of(values + moved) - divergence_of(values - moved)) / (2 * step)
        found.append(slope * values[channel].sum())
    return np.round(found, 7).tolist()


print("nac stage2", states(stage2, lambda map: divergence(run(map, 2).mean((1, 2))), 5))
print("nac penultimate", states(penultimate, divergence, 5))
