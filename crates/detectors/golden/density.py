"""Scores of detectors that model distances and densities, by numpy, scipy and scikit-learn alone.

    python density.py

writes density.safetensors beside it: random inputs, and the score of each detector with its settings, f64, higher means more
out-of-distribution; and the models that scikit-learn makes of the same vectors from the same start. Written from the papers, OpenOOD's
definitions and libMR's, without a look at the crate.
"""

import json
import pathlib

import numpy as np
from safetensors.numpy import save_file
from scipy.optimize import brentq
from scipy.special import softmax
from scipy.stats import weibull_min
from sklearn.covariance import ShrunkCovariance
from sklearn.ensemble import IsolationForest
from sklearn.kernel_approximation import RBFSampler
from sklearn.linear_model import LogisticRegression, SGDOneClassSVM
from sklearn.mixture import GaussianMixture
from sklearn.svm import OneClassSVM

CLASSES, WIDTH = 5, 12
draw = np.random.default_rng(20261124)

weight = draw.normal(0, 0.5, (CLASSES, WIDTH))
# Every class is predicted about as often.
weight = (weight - weight.mean(1, keepdims=True)).astype(np.float32)
bias = draw.normal(0, 0.2, CLASSES).astype(np.float32)


def samples(count, spread):
    """Penultimate vectors as behind a ReLU, and the logits of them, rounded to f32."""
    vectors = np.maximum(draw.normal(0.4, spread, (count, WIDTH)), 0).astype(np.float32)
    logits = (vectors.astype(np.float64) @ weight.astype(np.float64).T + bias).astype(np.float32)
    return vectors, logits


train, train_logits = samples(240, 1.0)
valid, valid_logits = samples(60, 1.0)
given, given_logits = samples(40, 1.4)
labels = train_logits.argmax(1)
labels[::9] = (labels[::9] + 1) % CLASSES
valid_labels = valid_logits.argmax(1)

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
    keep(name, scores)


def keep(name, values):
    tensors[name] = np.ascontiguousarray(values, np.float64)


f, x, z = (rows.astype(np.float64) for rows in (train, given, given_logits))
w, train_z = weight.astype(np.float64), train_logits.astype(np.float64)
predicted, right = z.argmax(1), train_z.argmax(1) == labels
unit = lambda rows: rows / np.linalg.norm(rows, axis=1, keepdims=True)
logsumexp = lambda rows: np.log(np.exp(rows).sum(1))

# SHE
means = np.stack([f[right & (labels == c)].mean(0) for c in range(CLASSES)])[predicted]
case("she", {}, -(x * means).sum(1))
case("she", {"metric": "euclidean"}, np.linalg.norm(x - means, axis=1))
case("she", {"metric": "cosine"}, -(unit(x) * unit(means)).sum(1))

# NNGuide, with all training samples
products = unit(x) @ (unit(f) * logsumexp(train_z)[:, None]).T
for k in (1, 30):
    case("nnguide", {"alpha": 1, "K": k}, -np.sort(products, axis=1)[:, -k:].mean(1) * logsumexp(z))

# fDBD
distance = np.zeros(len(x))
for i, c in enumerate(predicted):
    others = [o for o in range(CLASSES) if o != c]
    distance[i] = sum((z[i, c] - z[i, o]) / np.linalg.norm(w[c] - w[o]) for o in others)
case("fdbd", {}, -distance / np.linalg.norm(x - f.mean(0), axis=1))
case("fdbd", {"distance_as_normalizer": False}, -distance / np.linalg.norm(x, axis=1))

# KL matching
for name, logits in {"validation": valid_logits, "train": train_logits}.items():
    p = softmax(logits.astype(np.float64), axis=1)
    typical = np.stack([p[p.argmax(1) == c].mean(0) for c in range(CLASSES)])
    own = softmax(z, axis=1)
    case("kl-matching", {"from": name}, (own[:, None] * np.log(own[:, None] / typical[None])).sum(2).min(1))

# One Gaussian
for share in (0.0, 0.1, 1.0):
    model = ShrunkCovariance(shrinkage=share).fit(f)
    case("gaussian", {"on": "penultimate", "shrinkage": share}, model.mahalanobis(x))


def z_scored(rows):
    """By sample, all of its numbers being one layer."""
    found = (rows - rows.mean(1, keepdims=True)) / (rows.std(1, ddof=1, keepdims=True) + 1e-5)
    return found.astype(np.float32).astype(np.float64)


case("gaussian", {"shrinkage": 0.1}, ShrunkCovariance(shrinkage=0.1).fit(z_scored(f)).mahalanobis(z_scored(x)))


# OpenMax
def weibull(tail):
    """Shape and scale of greatest likelihood: the root of the profile likelihood's derivative by the shape."""
    t = np.log1p((tail - 1e4) / 1e4)
    power = lambda k: np.exp(k * (t - t.max()))
    slope = lambda k: (t * power(k)).sum() / power(k).sum() - 1 / k - t.mean()
    shape = brentq(slope, 1, 1e7, xtol=1e-9, rtol=1e-15)
    scale = 1e4 * np.exp(np.log(np.exp(shape * t).mean()) / shape)
    # No fit of scipy's is likelier.
    likelihood = lambda k, s: weibull_min.logpdf(tail, k, 0, s).sum()
    k, _, s = weibull_min.fit(tail, shape * 1.1, floc=0, scale=scale * 1.0001)
    assert likelihood(k, s) <= likelihood(shape, scale) + 1e-9 and abs(k / shape - 1) < 1e-3 and abs(s / scale - 1) < 1e-6
    return shape, scale


for tail, alpha in ((20, 3), (8, 5), (20, 1)):
    activations, models = [], []
    for c in range(CLASSES):
        own = train_z[right & (labels == c)]
        activations.append(own.mean(0))
        largest = np.sort(np.linalg.norm(own - own.mean(0), axis=1))[-tail:]
        models.append((*weibull(largest + 1e4 - largest.min()), largest.min()))
    scores = []
    for row in z:
        omega = np.zeros(CLASSES)
        for rank, c in enumerate(np.argsort(-row)[:alpha]):
            omega[c] = (alpha - rank) / alpha
        share = [
            -np.expm1(-np.exp(shape * (np.log1p((np.linalg.norm(row - mean) - least) / 1e4) - np.log(scale / 1e4))))
            for mean, (shape, scale, least) in zip(activations, models)
        ]
        kept = row * (1 - omega * share)
        unknown = np.exp((row - kept).sum())
        scores.append(unknown / (np.exp(kept).sum() + unknown))
    case("openmax", {"tail": tail, "alpha": alpha}, scores)

# Isolation forest: scikit-learn's trees one behind the other, and the scores of a large forest
small = IsolationForest(n_estimators=10, max_samples=64, random_state=1).fit(train)
roots, trees = [], {"feature": [], "threshold": [], "right": [], "samples": []}
for estimator in small.estimators_:
    tree, first = estimator.tree_, len(trees["feature"])
    inner = tree.children_left >= 0
    assert (tree.children_left[inner] == np.flatnonzero(inner) + 1).all(), "the left child is the next node"
    roots.append(first)
    trees["feature"].extend(np.where(inner, tree.feature, 255))
    trees["threshold"].extend(tree.threshold)
    trees["right"].extend(np.where(inner, tree.children_right + first, 0))
    trees["samples"].extend(tree.n_node_samples)
for name, dtype in {"feature": np.uint8, "threshold": np.float64, "right": np.float32, "samples": np.uint8}.items():
    tensors[f"forest.{name}"] = np.array(trees[name], dtype)
tensors["forest.roots"] = np.array(roots, np.int64)
keep("forest.scores", -small.score_samples(given))
keep("forest.many", -IsolationForest(n_estimators=1000, max_samples=64, random_state=2).fit(train).score_samples(given))

# Gaussian mixtures: begun with the samples that are nearest to each of four
centres = np.array([3, 50, 120, 200])
nearest = ((f[:, None] - f[centres][None]) ** 2).sum(2).argmin(1)
groups = [f[nearest == c] for c in range(len(centres))]
tensors["mixture.centres"] = centres.astype(np.int64)
for name, kind in {"diagonal": "diag", "full": "full"}.items():
    whole = np.stack([np.cov(group.T, bias=True) + 1e-4 * np.eye(WIDTH) for group in groups])
    precisions = np.linalg.inv(whole) if kind == "full" else 1 / np.einsum("kii->ki", whole)
    model = GaussianMixture(
        len(centres), covariance_type=kind, reg_covar=1e-4, tol=1e-3, max_iter=100,
        weights_init=[len(group) / len(f) for group in groups],
        means_init=np.stack([group.mean(0) for group in groups]), precisions_init=precisions,
    ).fit(f)
    assert model.converged_ and model.n_iter_ > 2
    keep(f"mixture.{name}.means", model.means_)
    keep(f"mixture.{name}.shares", model.weights_)
    keep(f"mixture.{name}.scores", -model.score_samples(x))

# One-class SVM on random Fourier features
sampler = RBFSampler(gamma=1 / (WIDTH * f.var()), n_components=32, random_state=3).fit(f)
mapped, seen = sampler.transform(f), sampler.transform(x)
keep("svm.directions", sampler.random_weights_.T)
keep("svm.offsets", sampler.random_offset_)
for nu in (0.1, 0.5):
    objective = lambda w, rho: w @ w / 2 - rho + np.maximum(0, rho - mapped @ w).mean() / nu
    share = 1 / (nu * len(f))
    exact = OneClassSVM(kernel="linear", nu=nu, tol=1e-12).fit(mapped)
    descent = SGDOneClassSVM(nu=nu, max_iter=10000, tol=1e-6, random_state=4).fit(mapped)
    least = objective(share * exact.coef_[0], -share * exact.intercept_[0])
    reached = objective(descent.coef_, descent.offset_[0])
    assert least < reached < least + 0.03 * abs(least), (nu, least, reached)
    keep(f"svm.{nu}.libsvm", [least])
    keep(f"svm.{nu}.sgd", [reached])
    keep(f"svm.{nu}.scores", -share * exact.decision_function(seen))

# Logistic regression, to the last digits: by its own solver, and a gradient that is zero there
for name, spread, shift in (("even", [1.0, 1.0, 1.0], 0.7), ("uneven", [0.03, 1.0, 40.0], 0.5), ("apart", [1.0, 2.0], 30.0)):
    outside = np.arange(90) % 3 == 0
    rows = draw.normal(2, 1, (90, len(spread))) * spread
    rows[outside] += shift * np.array(spread) * np.resize([1.0, -0.3, 0.6], len(spread))
    model = LogisticRegression(C=1.0, solver="newton-cholesky", tol=1e-14, max_iter=1000).fit(rows, outside)
    chance = 1 / (1 + np.exp(-(rows @ model.coef_[0] + model.intercept_)))
    slope = model.coef_[0] + rows.T @ (chance - outside)
    assert np.abs(slope).max() < 1e-6 * np.abs(rows).sum(0).max(), (name, slope)
    keep(f"logistic.{name}.rows", rows)
    keep(f"logistic.{name}.outside", outside)
    keep(f"logistic.{name}.weights", model.coef_[0])

settings = {"cases": cases, "forest_max_samples": 64}
metadata = {name: json.dumps(value) for name, value in settings.items()}
save_file(tensors, pathlib.Path(__file__).with_suffix(".safetensors"), metadata=metadata)
