#!/usr/bin/env python3
"""Writes metrics.json: reference values of scikit-learn and NumPy, on scores with ties and without.

    python3 -m venv venv && venv/bin/pip install scikit-learn numpy scipy
    venv/bin/python make_metrics.py > metrics.json

Scores are outlier scores, higher = more out-of-distribution. Nothing here shares code with the crate: the areas and
curves are scikit-learn's, the percentile is NumPy's, the DeLong variances are their O(n m) definition (in exact fractions
for small cases), the nearest vertex is `fpr_and_fdr_at_recall` of github.com/hendrycks/outlier-exposure,
utils/display_results.py, the area under the threshold curves is integrated step by step, calibration error, OSCR and Holm's
correction are written from their definitions.
"""
import json
import sys
from fractions import Fraction

import numpy as np
import scipy
import sklearn
from scipy.special import softmax
from scipy.stats import norm
from sklearn.metrics import accuracy_score, auc, average_precision_score, precision_recall_curve, roc_auc_score, roc_curve


def nearest(positive, negative, recall_level=0.95):
    y_score = np.r_[positive, negative]
    y_true = np.r_[np.ones(len(positive), bool), np.zeros(len(negative), bool)]
    order = np.argsort(y_score, kind="mergesort")[::-1]
    y_score, y_true = y_score[order], y_true[order]
    threshold_idxs = np.r_[np.where(np.diff(y_score))[0], y_true.size - 1]
    tps = np.cumsum(y_true)[threshold_idxs]
    fps = 1 + threshold_idxs - tps
    recall = tps / tps[-1]
    sl = slice(tps.searchsorted(tps[-1]), None, -1)
    recall, fps, tps = np.r_[recall[sl], 1], np.r_[fps[sl], 0], np.r_[tps[sl], 0]
    return fps[np.argmin(np.abs(recall - recall_level))] / len(negative)


def first_at_least(positive, negative, drop, recall=0.95):
    y_true = np.r_[np.ones(len(positive), int), np.zeros(len(negative), int)]
    fpr, tpr, _ = roc_curve(y_true, np.r_[positive, negative], drop_intermediate=drop)
    return fpr[np.argmax(tpr >= recall)]


def delong_variance(ids, oods):
    def psi(o, i):
        return Fraction(1) if o > i else Fraction(1, 2) if o == i else Fraction(0)

    def variance(values):
        mean = sum(values) / len(values)
        return sum((v - mean) ** 2 for v in values) / (len(values) - 1)

    of_ood = [sum(psi(o, i) for i in ids) / len(ids) for o in oods]
    of_id = [sum(psi(o, i) for o in oods) / len(oods) for i in ids]
    return float(variance(of_ood) / len(oods) + variance(of_id) / len(ids))


def autc(ids, oods):
    """Steps between neighbouring distinct scores, range scaled to 0..1; rejected where above the threshold."""
    edges = np.unique(np.r_[ids, oods])
    scaled = (edges - edges[0]) / (edges[-1] - edges[0])
    rejected = np.array([np.mean(ids > edge) for edge in edges[:-1]])
    accepted = np.array([np.mean(oods <= edge) for edge in edges[:-1]])
    return float(np.sum(np.diff(scaled) * (rejected + accepted) / 2))


def placements(ids, oods):
    """Of each OOD the share of ID below it, of each ID the share of OOD above it, ties one half."""
    above = (oods[:, None] > ids[None, :]) + 0.5 * (oods[:, None] == ids[None, :])
    return above.mean(axis=1), above.mean(axis=0)


def delong_paired(a, b):
    """Difference of two AUROC, its variance by the covariance matrices of the placements, two-sided p."""
    (ood_a, id_a), (ood_b, id_b) = placements(*a), placements(*b)
    contrast = np.array([1.0, -1.0])
    variance = contrast @ (np.cov(ood_a, ood_b) / len(ood_a) + np.cov(id_a, id_b) / len(id_a)) @ contrast
    difference = ood_a.mean() - ood_b.mean()
    # Without variance, up to rounding, there is no test.
    p = 2 * norm.sf(abs(difference) / np.sqrt(variance)) if variance > 1e-12 else None
    return {"difference": difference, "variance": variance, "p": p}


def calibration_error(correct, confidence, bins=15):
    edges = np.arange(bins + 1) / bins
    total = 0.0
    for low, high in zip(edges[:-1], edges[1:]):
        inside = (confidence > low) & (confidence <= high)
        if inside.any():
            total += inside.mean() * abs(correct[inside].mean() - confidence[inside].mean())
    return total


def oscr(correct, ids, oods):
    """Trapezoids of the rate of correct classification over the false positive rate, one point a distinct score."""
    thresholds = np.unique(np.r_[ids, oods])
    ccr = np.r_[0, [np.mean(correct & (ids <= t)) for t in thresholds]]
    fpr = np.r_[0, [np.mean(oods <= t) for t in thresholds]]
    return float(np.sum(np.diff(fpr) * (ccr[1:] + ccr[:-1]) / 2))


def classifier(rng, ids, oods):
    classes = 5
    labels = rng.integers(0, classes, len(ids))
    logits = rng.normal(size=(len(ids), classes)).round(3)
    logits[np.arange(len(ids)), labels] += 1.5
    logits = logits.round(3)
    probabilities = softmax(logits, axis=1)
    correct = probabilities.argmax(axis=1) == labels
    return {
        "labels": labels.tolist(),
        "logits": logits.ravel().tolist(),
        "accuracy": accuracy_score(labels, probabilities.argmax(axis=1)),
        "calibration_error": calibration_error(correct, probabilities.max(axis=1)),
        "oscr": oscr(correct, ids, oods),
    }


RECALLS = [0.5, 0.8, 0.9, 0.99, 1.0]


def direction(positive, negative):
    """Positives score high here."""
    y_true = np.r_[np.ones(len(positive), int), np.zeros(len(negative), int)]
    scores = np.r_[positive, negative]
    precision, recall, _ = precision_recall_curve(y_true, scores)
    inverse = np.sort(positive)
    return {
        "aupr": auc(recall, precision),
        "average_precision": average_precision_score(y_true, scores),
        "first-at-least": first_at_least(positive, negative, False),
        "first-at-least-sklearn-drop": first_at_least(positive, negative, True),
        "at_recalls": [first_at_least(positive, negative, False, recall) for recall in RECALLS],
        "nearest": nearest(positive, negative),
        "percentile95-strict": float(np.mean(-negative < np.percentile(-positive, 95))),
        "order-stat-strict": float(np.mean(negative > inverse[round(0.05 * len(inverse))])),
    }


def main():
    rng = np.random.default_rng(20)
    cases = []
    for name, n_id, n_ood, shift, decimals in [
        ("distinct", 57, 43, 1.0, None),
        ("distinct, more of OOD", 23, 91, 0.4, None),
        ("distinct, wrong sign", 40, 40, -1.5, None),
        ("ties", 60, 50, 1.0, 1),
        ("heavy ties", 80, 35, 0.8, 0),
        ("ties, twenty of each", 20, 20, 0.5, 1),
        ("two of each", 2, 2, 0.3, 0),
        ("far apart", 30, 30, 9.0, 2),
        ("hundreds, distinct", 400, 300, 1.2, None),
        ("hundreds, ties", 300, 500, 0.7, 1),
        ("hundreds, heavy ties", 350, 350, 0.5, 0),
    ]:
        ids, oods = rng.normal(size=n_id), rng.normal(size=n_ood) + shift
        if decimals is not None:
            ids, oods = ids.round(decimals) + 0.0, oods.round(decimals) + 0.0
        # The second detector agrees with the first in part, and ties where it does.
        other_ids, other_oods = (
            (0.6 * x + 0.8 * rng.normal(size=len(x))).round(3 if decimals is None else decimals) + 0.0 for x in (ids, oods)
        )
        labels = np.r_[np.zeros(n_id), np.ones(n_ood)]
        small = n_id + n_ood <= 200
        cases.append({
            "name": name,
            "id": ids.tolist(),
            "ood": oods.tolist(),
            "auroc": roc_auc_score(labels, np.r_[ids, oods]),
            "autc": autc(ids, oods),
            "delong_variance": delong_variance(ids.tolist(), oods.tolist())
            if small
            else sum(np.var(v, ddof=1) / len(v) for v in placements(ids, oods)),
            "other_id": other_ids.tolist(),
            "other_ood": other_oods.tolist(),
            "paired": delong_paired((ids, oods), (other_ids, other_oods)),
            "classifier": classifier(rng, ids, oods),
            "id_positive": direction(-ids, -oods),
            "ood_positive": direction(oods, ids),
        })
    json.dump({
        "recipe": "make_metrics.py",
        "versions": {"scikit-learn": sklearn.__version__, "numpy": np.__version__, "scipy": scipy.__version__},
        "recalls": RECALLS,
        "cases": cases,
    }, sys.stdout, separators=(",", ":"))
    print()


main()
