#!/usr/bin/env python3
"""Writes metrics.json: reference values of scikit-learn and NumPy, on scores with ties and without.

    python3 -m venv venv && venv/bin/pip install scikit-learn numpy
    venv/bin/python make_metrics.py > metrics.json

Scores are outlier scores, higher = more out-of-distribution. Nothing here shares code with the crate: the areas and
curves are scikit-learn's, the percentile is NumPy's, the DeLong variance is its O(n m) definition in exact fractions,
the nearest vertex is `fpr_and_fdr_at_recall` of github.com/hendrycks/outlier-exposure, utils/display_results.py.
"""
import json
import sys
from fractions import Fraction

import numpy as np
import sklearn
from sklearn.metrics import auc, average_precision_score, precision_recall_curve, roc_auc_score, roc_curve


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


def first_at_least(positive, negative, drop):
    y_true = np.r_[np.ones(len(positive), int), np.zeros(len(negative), int)]
    fpr, tpr, _ = roc_curve(y_true, np.r_[positive, negative], drop_intermediate=drop)
    return fpr[np.argmax(tpr >= 0.95)]


def delong_variance(ids, oods):
    def psi(o, i):
        return Fraction(1) if o > i else Fraction(1, 2) if o == i else Fraction(0)

    def variance(values):
        mean = sum(values) / len(values)
        return sum((v - mean) ** 2 for v in values) / (len(values) - 1)

    of_ood = [sum(psi(o, i) for i in ids) / len(ids) for o in oods]
    of_id = [sum(psi(o, i) for o in oods) / len(oods) for i in ids]
    return float(variance(of_ood) / len(oods) + variance(of_id) / len(ids))


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
    ]:
        ids, oods = rng.normal(size=n_id), rng.normal(size=n_ood) + shift
        if decimals is not None:
            ids, oods = ids.round(decimals) + 0.0, oods.round(decimals) + 0.0
        labels = np.r_[np.zeros(n_id), np.ones(n_ood)]
        cases.append({
            "name": name,
            "id": ids.tolist(),
            "ood": oods.tolist(),
            "auroc": roc_auc_score(labels, np.r_[ids, oods]),
            "delong_variance": delong_variance(ids.tolist(), oods.tolist()),
            "id_positive": direction(-ids, -oods),
            "ood_positive": direction(oods, ids),
        })
    json.dump({
        "recipe": "make_metrics.py",
        "versions": {"scikit-learn": sklearn.__version__, "numpy": np.__version__},
        "cases": cases,
    }, sys.stdout, indent=1)
    print()


main()
