"""Scores of detectors that read logits, penultimate vectors and the classifier, by numpy and scipy alone.

    python logits.py

writes logits.safetensors beside it: random inputs, and the score of each detector with its settings, f64, higher means more
out-of-distribution. Written from the papers and OpenOOD's definitions, without a look at the crate.
"""

import json
import pathlib

import numpy as np
from safetensors.numpy import save_file
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, logsumexp, softmax

CLASSES, WIDTH = 7, 24
draw = np.random.default_rng(20261123)

weight = draw.normal(0, 0.5, (CLASSES, WIDTH)).astype(np.float32)
bias = draw.normal(0, 0.2, CLASSES).astype(np.float32)


def samples(count, spread):
    """Penultimate vectors as behind a ReLU, and the logits of them, rounded to f32."""
    vectors = np.maximum(draw.normal(0.4, spread, (count, WIDTH)), 0).astype(np.float32)
    logits = (vectors.astype(np.float64) @ weight.astype(np.float64).T + bias).astype(np.float32)
    return vectors, logits


train, train_logits = samples(80, 1.0)
valid, valid_logits = samples(50, 1.0)
given, given_logits = samples(30, 1.4)
labels = train_logits.argmax(1)
labels[::9] = (labels[::9] + 1) % CLASSES
valid_labels = valid_logits.argmax(1)
valid_labels[::4] = (valid_labels[::4] + 2) % CLASSES

tensors = {
    "weight": weight, "bias": bias,
    "train.penultimate": train, "train.logits": train_logits, "train.labels": labels.astype(np.int64),
    "validation.penultimate": valid, "validation.logits": valid_logits, "validation.labels": valid_labels.astype(np.int64),
    "given.penultimate": given, "given.logits": given_logits,
}
cases = []


def case(kind, settings, scores):
    name = f"scores.{len(cases)}"
    cases.append({"kind": kind, "settings": settings, "scores": name})
    tensors[name] = np.ascontiguousarray(scores, np.float64)


z, w, b, x = given_logits.astype(np.float64), weight.astype(np.float64), bias.astype(np.float64), given.astype(np.float64)
p = softmax(z, axis=1)


def energy_of(vectors, weights=w):
    return -logsumexp(vectors @ weights.T + b, axis=1)


case("msp", {}, -p.max(1))
case("max-logit", {}, -z.max(1))
for t in (1.0, 0.5, 100.0):
    case("energy", {"temperature": t}, -t * logsumexp(z / t, axis=1))
case("entropy", {}, -(p * np.log(p)).sum(1))
for gamma, m in ((0.1, 100), (0.5, 3)):
    largest = np.sort(p, axis=1)[:, -m:]
    case("gen", {"gamma": gamma, "M": m}, (largest**gamma * (1 - largest) ** gamma).sum(1))

for name, (logits, y) in {"validation": (valid_logits, valid_labels), "train": (train_logits, labels)}.items():
    nll = lambda log_t: -log_softmax(logits.astype(np.float64) / np.exp(log_t), axis=1)[np.arange(len(y)), y].mean()
    t = np.exp(minimize_scalar(nll, bounds=(-5, 5), method="bounded", options={"xatol": 1e-12}).x)
    case("temperature-scaling", {"from": name}, -softmax(z / t, axis=1).max(1))

for name, vectors in {"validation": valid, "train": train}.items():
    for q in (90, 75):
        case("react", {"percentile": q, "from": name}, energy_of(np.minimum(x, np.percentile(vectors.astype(np.float64), q))))
    high, low = (np.percentile(vectors.astype(np.float64), q) for q in (95, 60))
    case("vra", {"from": name}, energy_of(np.clip(x, low, high)))
    case("vra", {"from": name, "low": "zero"}, energy_of(np.where(x < low, 0, np.minimum(x, high))))

contribution = train.astype(np.float64).mean(0) * w
for q in (90, 60):
    case("dice", {"p": q}, energy_of(x, w * (contribution > np.percentile(contribution, q))))

for q in (65, 90):
    k = WIDTH - int(np.round(WIDTH * q / 100))
    kept = np.zeros_like(x)
    at = np.argsort(-x, axis=1, kind="stable")[:, :k]
    np.put_along_axis(kept, at, 1, axis=1)
    total, part = x.sum(1, keepdims=True), (x * kept).sum(1, keepdims=True)
    case("ash", {"variant": "p", "percentile": q}, energy_of(x * kept))
    case("ash", {"variant": "b", "percentile": q}, energy_of(kept * total / k))
    case("ash", {"variant": "s", "percentile": q}, energy_of(x * kept * np.exp(total / part)))
    case("scale", {"percentile": q}, energy_of(x * np.exp(total / part)))


def gradient_norm(vector, step=1e-6):
    """By central differences of the loss over every weight."""
    loss = lambda weights: -log_softmax(weights @ vector + b).sum()
    norm = 0.0
    for i in np.ndindex(w.shape):
        up, down = w.copy(), w.copy()
        up[i] += step
        down[i] -= step
        norm += abs(loss(up) - loss(down)) / (2 * step)
    return norm


case("gradnorm", {}, [-gradient_norm(vector) for vector in x])

f, y = train.astype(np.float64), labels
unit = lambda rows: rows / np.linalg.norm(rows, axis=1, keepdims=True)
for k in (1, 10):
    squared = ((unit(x)[:, None] - unit(f)[None]) ** 2).sum(2)
    case("knn", {"k": k}, np.sort(squared, axis=1)[:, k - 1])

means = np.stack([f[y == c].mean(0) for c in range(CLASSES)])
centred = f - means[y]
precision = np.linalg.pinv(centred.T @ centred / len(f))
quadratic = lambda rows, matrix: np.einsum("ij,jk,ik->i", rows, matrix, rows)
nearest = np.stack([quadratic(x - m, precision) for m in means]).min(0)
case("mahalanobis", {}, nearest)
whole = f - f.mean(0)
case("relative-mahalanobis", {}, nearest - quadratic(x - f.mean(0), np.linalg.pinv(whole.T @ whole / len(f))))

origin = -np.linalg.pinv(w) @ b
values, vectors = np.linalg.eigh((f - origin).T @ (f - origin) / len(f))
for dim in (6, 15):
    null = vectors[:, np.argsort(-values)[dim:]]
    residual = lambda rows: np.linalg.norm((rows - origin) @ null, axis=1)
    case("residual", {"dim": dim}, residual(x))
    alpha = train_logits.astype(np.float64).max(1).mean() / residual(f).mean()
    case("vim", {"dim": dim}, alpha * residual(x) - logsumexp(z, axis=1))

save_file(tensors, pathlib.Path(__file__).with_suffix(".safetensors"), metadata={"cases": json.dumps(cases)})
