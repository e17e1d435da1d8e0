"""Scores of detectors that look into the network, by numpy alone.

    python probe.py

writes probe.safetensors beside it: what a probe might have read of random samples, and the score of each detector with its settings, f64,
higher means more out-of-distribution. Written from the papers and OpenOOD's definitions, without a look at the crate.
"""

import json
import pathlib

import numpy as np
from safetensors.numpy import save_file

CLASSES, WIDTH = 4, 6
draw = np.random.default_rng(20261125)
COUNTS = {"train": 200, "validation": 40, "given": 30}

weight = draw.normal(0, 0.6, (CLASSES, WIDTH)).astype(np.float32)
bias = draw.normal(0, 0.2, CLASSES).astype(np.float32)
tensors, cases = {"weight": weight, "bias": bias}, []
for part, count in COUNTS.items():
    vectors = np.maximum(draw.normal(0.4, 1, (count, WIDTH)), 0).astype(np.float32)
    logits = (vectors.astype(np.float64) @ weight.astype(np.float64).T + bias).astype(np.float32)
    labels = logits.argmax(1)
    labels[::7] = (labels[::7] + 1) % CLASSES
    tensors |= {f"{part}.penultimate": vectors, f"{part}.logits": logits, f"{part}.labels": labels.astype(np.int64)}


def read(name, values):
    """What a probe of that name reads, `values(part, count)`; rounded to f32 as it is stored."""
    for part, count in COUNTS.items():
        tensors[f"{part}.{name}"] = np.ascontiguousarray(values(part, count), np.float32)
    return [tensors[f"{part}.{name}"].astype(np.float64) for part in COUNTS]


def case(kind, settings, name, layers, scores):
    stem = f"scores.{len(cases)}"
    cases.append({"kind": kind, "settings": settings, "scores": stem, "probed": {"name": name, "layers": layers}})
    tensors[stem] = np.ascontiguousarray(scores, np.float64)


# RankFeat: the energy of the logits
_, _, z = read("rankfeat", lambda part, count: draw.normal(0, 4, (count, CLASSES)))
for t in (1.0, 2.5):
    case("rankfeat", {"temperature": t}, "rankfeat", [("logits", CLASSES)], -t * np.log(np.exp(z / t).sum(1)))


# Gram: row sums of the matrices of random maps
POWERS, PIXELS, CHANNELS = (1, 2, 3), 5, {"stage1": 4, "penultimate": 3}


def row_sums(maps, p):
    """[count, channels, pixels] to [count, channels]: of the p-th order Gram matrix."""
    raised = maps**p
    sums = (raised @ raised.transpose(0, 2, 1)).sum(2)
    return np.sign(sums) * np.abs(sums) ** (1 / p)


maps = {}
for part, count in COUNTS.items():
    spread = 1.4 if part == "given" else 1.0
    maps[part] = {name: draw.normal(0.2, spread, (count, c, PIXELS)) for name, c in CHANNELS.items()}


def gram(part, summary):
    columns = []
    for name in CHANNELS:
        for p in POWERS:
            sums = row_sums(maps[part][name], p)
            columns.append(np.stack([sums.min(1), sums.max(1), sums.sum(1)], 1) if summary else sums)
    return np.concatenate(columns, 1)


def outside(x, least, most):
    relu = lambda values: np.maximum(values, 0)
    return relu(least - x) / np.abs(least + 1e-6) + relu(x - most) / np.abs(most + 1e-6)


labels = tensors["train.labels"]
predicted = {part: tensors[f"{part}.logits"].argmax(1) for part in COUNTS}

# As OpenOOD: one range of all channels, the sum of the channels against it; its confidence is the deviation
train, _, x = read("gram.range", lambda part, count: gram(part, True))
deviation = np.zeros(len(x))
for i, c in enumerate(predicted["given"]):
    own = train[labels == c]
    for at in range(0, x.shape[1], 3):
        deviation[i] += outside(x[i, at + 2], own[:, at].min(), own[:, at + 1].max()) / 50
layers = [(name, 3 * len(POWERS)) for name in CHANNELS]
case("gram", {"powers": POWERS}, "gram.range", layers, -deviation)

# As the paper: a range for each channel, layers over their mean deviation of validation samples
train, valid, x = read("gram.channels", lambda part, count: gram(part, False))
layers = [(name, c * len(POWERS)) for name, c in CHANNELS.items()]
least = np.stack([train[labels == c].min(0) for c in range(CLASSES)])
most = np.stack([train[labels == c].max(0) for c in range(CLASSES)])
parts = np.cumsum([width for _, width in layers])[:-1]
by_layer = lambda rows, classes: [
    part.sum(1) for part in np.split(outside(rows, least[classes], most[classes]), parts, axis=1)
]
means = [part.mean() for part in by_layer(valid, predicted["validation"])]
total = sum(part / mean for part, mean in zip(by_layer(x, predicted["given"]), means))
case("gram", {"powers": POWERS, "deviation": "channels"}, "gram.channels", layers, total)

# NAC: the share of the samples whose neurons were in the same bin
NEURONS = [("stage2", 5), ("penultimate", 8)]
train, _, x = read("nac", lambda part, count: draw.normal(0.1, 0.02 if part == "given" else 0.013, (count, 13)))


def coverage(rows, sample, alpha, limits, needed):
    left = np.linspace(1, np.sqrt(1e3), limits // 2)
    left = np.log(left) / np.log(1e3)
    edges = np.concatenate([left[:-1], (1 - left)[::-1]])
    edges = np.append(edges[:-1], [edges[-1] + 1e-2, 1.2])
    state = lambda values: 1 / (1 + np.exp(-alpha * values))
    total = np.zeros(len(sample))
    for neuron in range(rows.shape[1]):
        counts, _ = np.histogram(state(rows[:, neuron]), edges)
        bins = np.searchsorted(edges, state(sample[:, neuron]), side="right") - 1
        total += np.minimum(counts / needed, 1)[bins]
    return total / rows.shape[1]


for chosen in (
    [("penultimate", 10.0, 50, 50)],
    [("penultimate", 30.0, 20, 90), ("stage2", 0.5, 500, 3)],
    [("stage2", 100.0, 4, 190)],
):
    spans = {"stage2": slice(0, 5), "penultimate": slice(5, 13)}
    parts = [coverage(train[:, spans[name]], x[:, spans[name]], *how) for name, *how in chosen]
    settings = [{"layer": name, "sig_alpha": alpha, "M": m, "O": o} for name, alpha, m, o in chosen]
    case("nac", {"layers": settings}, "nac", NEURONS, -np.mean(parts, axis=0))

save_file(tensors, pathlib.Path(__file__).with_suffix(".safetensors"), metadata={"cases": json.dumps(cases)})
