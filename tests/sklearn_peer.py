"""Compares `oodlab metrics` with scikit-learn on random scores, with and without ties: usage sklearn_peer.py OODLAB."""
import json, random, subprocess, sys, tempfile
from sklearn.metrics import auc, precision_recall_curve, roc_auc_score, roc_curve

random.seed(0)
worst = 0.0
for case in range(20):
    n_id, n_ood = random.randint(5, 800), random.randint(5, 800)
    levels = random.choice([0, 3, 40])
    draw = lambda mean: random.gauss(mean, 1) if levels == 0 else round(random.gauss(mean, 1) * levels / 4) * 4 / levels
    scores, is_ood = [draw(0) for _ in range(n_id)] + [draw(1) for _ in range(n_ood)], [0] * n_id + [1] * n_ood
    with tempfile.NamedTemporaryFile("w", suffix=".csv") as file:
        file.write("score,is_ood\n" + "".join(f"{s!r},{y}\n" for s, y in zip(scores, is_ood)))
        file.flush()
        [ours] = json.loads(subprocess.run([sys.argv[1], "metrics", file.name, "--json"], check=True, capture_output=True).stdout)
    negated, is_id = [-s for s in scores], [1 - y for y in is_ood]

    def aupr(truth, values):
        precision, recall, _ = precision_recall_curve(truth, values)
        return auc(recall, precision)

    def fpr95(truth, values):
        fpr, tpr, _ = roc_curve(truth, values, drop_intermediate=False)
        return next(f for f, t in zip(fpr, tpr) if t >= 0.95)

    theirs = {"auroc": roc_auc_score(is_ood, scores), "aupr_out": aupr(is_ood, scores), "aupr_in": aupr(is_id, negated),
              "fpr95_ood": fpr95(is_ood, scores), "fpr95_id": fpr95(is_id, negated)}
    for name, value in theirs.items():
        worst = max(worst, abs(ours[name] - value))
        assert abs(ours[name] - value) < 1e-12, (case, name, ours[name], value)
print(f"scikit-learn: 20 random cases agree, worst difference {worst:.1e}")
