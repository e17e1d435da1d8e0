"""Expected scores of the detector `pca` from numpy alone: python3 recipe.py > expected.json.

40 training and 12 test samples of 5 + 7 columns, made by formula; z-scored by sample and layer with the unbiased deviation (+ 1e-5);
mean and covariance of the training samples, eigenvectors of the largest eigenvalues, projection, mean squared error and minus the mean of the
layers' cosines. Everything in f64 from z-scores rounded to f32.
"""
import json
import numpy as np

LAYERS = [(0, 5), (5, 12)]


def raw(rows, shift):
    row, column = np.meshgrid(np.arange(rows), np.arange(12), indexing="ij")
    values = np.sin(row * 0.7 + column * 0.9 + shift) + 0.3 * np.cos(row * 1.3 * (column + 1)) + 0.1 * column
    return values.astype(np.float32)


def z_scored(values):
    parts = []
    for start, end in LAYERS:
        part = values[:, start:end].astype(np.float64)
        deviation = part.std(axis=1, ddof=1, keepdims=True)
        parts.append((part - part.mean(axis=1, keepdims=True)) / (deviation + 1e-5))
    return np.concatenate(parts, axis=1)


def cosine(a, b):
    return (a * b).sum(1) / (np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1))


train, test = z_scored(raw(40, 0.0)), z_scored(raw(12, 2.0) ** 3)
mean = train.mean(0)
values, vectors = np.linalg.eigh(np.cov(train.T, bias=True))
values, vectors = values[::-1], vectors[:, ::-1]


def scores(count):
    kept = vectors[:, :count]
    made = mean + (test - mean) @ kept @ kept.T
    cosines = np.stack([cosine(test[:, a:b], made[:, a:b]) for a, b in LAYERS], 1)
    return {
        "mse": ((test - made) ** 2).mean(1).tolist(),
        "mfsim": (-cosines.mean(1)).tolist(),
        "mfsim-skip-first": (-cosines[:, 1]).tolist(),
    }


share = np.cumsum(values) / values.sum()
kept = int(np.argmax(share >= 0.9)) + 1
print(json.dumps({"share": share.tolist(), "kept_for_0.9": kept, "three": scores(3), "default": scores(kept)}, indent=1))
