"""Compares `oodlab metrics` with scikit-learn on random scores, with and without ties: usage sklearn_peer.py OODLAB.

Several detectors in one file, as CSV and as npz, under several conventions and recalls, with accuracy from logits.
"""
import json, random, subprocess, sys, tempfile

import numpy as np
from sklearn.metrics import accuracy_score, auc, average_precision_score, precision_recall_curve, roc_auc_score, roc_curve

random.seed(0)
worst = 0.0


def run(*arguments):
    out = subprocess.run([sys.argv[1], "metrics", *arguments, "--json", "--log", "error"], check=True, capture_output=True)
    return json.loads(out.stdout)


def first(labels, scores, recall, drop):
    fpr, tpr, _ = roc_curve(labels, scores, drop_intermediate=drop)
    return fpr[np.argmax(tpr >= recall)]


def expected(labels, scores, recall, convention):
    want = {"auroc": roc_auc_score(labels, scores)}
    for name, positive, sign in [("id", 0, -1.0), ("ood", 1, 1.0)]:
        truth, oriented = (labels == positive).astype(int), sign * scores
        precision, found, _ = precision_recall_curve(truth, oriented)
        side = {"id": "in", "ood": "out"}[name]
        want[f"aupr_{side}"] = auc(found, precision)
        want[f"ap_{side}"] = average_precision_score(truth, oriented)
        column = f"fpr{round(100 * recall)}_{name}"
        if convention == "dlsr":
            ours, others = -oriented[truth == 1], -oriented[truth == 0]
            want[column] = np.mean(others < np.percentile(ours, 100 * recall))
        else:
            want[column] = first(truth, oriented, recall, convention == "openood")
    return want


for case in range(20):
    n_id, n_ood = random.randint(20, 800), random.randint(20, 800)
    levels = random.choice([0, 3, 40])
    labels = np.r_[np.zeros(n_id, int), np.ones(n_ood, int)]
    rng = np.random.default_rng(case)
    columns = {}
    for name, shift in [("one", 1.0), ("two", 0.3)]:
        scores = rng.normal(size=n_id + n_ood) + shift * labels
        columns[name] = np.floor(scores * levels) / levels + 0.0 if levels else scores
    logits = rng.normal(size=(n_id + n_ood, 4))
    classes = rng.integers(0, 4, n_id + n_ood)
    convention, recall = random.choice(["pytorch-ood", "openood", "dlsr"]), random.choice([0.95, 0.8])
    with tempfile.TemporaryDirectory() as folder:
        if case % 2:
            path = f"{folder}/s.npz"
            np.savez(path, is_ood=labels.astype(bool), y=classes, logits=logits, **columns)
        else:
            path = f"{folder}/s.csv"
            names = [*columns, "is_ood", "y", *(f"logits{k}" for k in range(4))]
            rows = zip(*columns.values(), labels, classes, *logits.T)
            with open(path, "w") as file:
                file.write(",".join(names) + "\n")
                file.writelines(",".join(str(value) for value in row) + "\n" for row in rows)
        found = run(path, "--score", "one", "--score", "two", "--convention", convention, "--recall", str(recall),
                    "--label", "y", "--logits", "logits")
    for line, (name, scores) in zip(found, columns.items(), strict=True):
        want = expected(labels, scores, recall, convention)
        want["accuracy"] = accuracy_score(classes[:n_id], logits[:n_id].argmax(axis=1))
        assert line["detector"] == name
        worst = max(worst, *(abs(line[key] - value) for key, value in want.items()))
assert worst <= 1e-12, worst
print(f"oodlab metrics agrees with scikit-learn on 20 files of two detectors, worst difference {worst:.1e}")
