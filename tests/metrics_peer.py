"""Times scikit-learn beside `oodlab bench metrics --json`: usage metrics_peer.py OURS.json.

Its part: roc_auc_score, roc_curve, and precision_recall_curve with auc in both directions, on as many normal scores.
"""
import json
import statistics
import sys
import time

import numpy as np
import sklearn
from sklearn.metrics import auc, precision_recall_curve, roc_auc_score, roc_curve


def once(labels, scores):
    roc_auc_score(labels, scores)
    roc_curve(labels, scores)
    for positive, sign in [(1, 1.0), (0, -1.0)]:
        precision, recall, _ = precision_recall_curve(labels == positive, sign * scores)
        auc(recall, precision)


ours = json.load(open(sys.argv[1]))
half = ours["scores"] // 2
rng = np.random.default_rng(0)
labels = np.r_[np.zeros(half, int), np.ones(half, int)]
scores = np.r_[rng.normal(size=half), rng.normal(size=half) + 1.0]
seconds = []
for _ in range(5):
    start = time.perf_counter()
    once(labels, scores)
    seconds.append(time.perf_counter() - start)
theirs, evaluate = statistics.median(seconds), ours["evaluate"]["median_s"]
print(f"| {2 * half:,} scores | seconds, median |\n|---|---|")
print(f"| oodlab, {ours['threads']} threads: every metric, the AUROC's interval, warnings | {evaluate:.3f} |")
print(f"| scikit-learn {sklearn.__version__}, 1 thread: AUROC, ROC, AUPR in both directions | {theirs:.3f} |")
print(f"| ratio | {theirs / evaluate:.1f} |")
print(f"| oodlab: paired DeLong test | {ours['delong']['median_s']:.3f} |")
print(f"| oodlab: {ours['replicates']:,} bootstrap replicates of {ours['bootstrap_scores']:,} scores a class | {ours['bootstrap']['median_s']:.3f} |")
