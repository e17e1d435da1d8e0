"""Peers of the example `throughput`, on the very features that it saved: python throughput_peer.py FOLDER [WIDTH] [CLASSES].

faiss-cpu's IndexFlatL2 as OpenOOD's knn_postprocessor asks it; Mahalanobis as OpenOOD's mds_postprocessor computes it (a B x B matrix a class,
of which the diagonal is read), with torch where it is installed and numpy where not; scikit-learn's brute-force neighbours, and its
densities with the settings of the crate's defaults."""

import sys
import time

import numpy as np

folder = sys.argv[1]
width = int(sys.argv[2]) if len(sys.argv) > 2 else 512
classes = int(sys.argv[3]) if len(sys.argv) > 3 else 10
read = lambda name: np.fromfile(f"{folder}/{name}.f32", dtype="<f4")
train, query = read("train").reshape(-1, width), read("query").reshape(-1, width)
labels = np.arange(len(train)) % classes
unit = lambda x: x / np.linalg.norm(x, axis=-1, keepdims=True) + 1e-10


def told(name, fit, scored, seconds):
    print(f"{name:40} {fit:10.2f} {scored / seconds:14.0f}", flush=True)


print(f"{'peer':40} {'fit, s':>10} {'scores/s':>14}")
try:
    import faiss

    began = time.perf_counter()
    index = faiss.IndexFlatL2(width)
    index.add(np.ascontiguousarray(unit(train)))
    fit = time.perf_counter() - began
    part = np.ascontiguousarray(unit(query[:20000]))
    began = time.perf_counter()
    distances, _ = index.search(part, 50)
    told(f"faiss {faiss.__version__} IndexFlatL2, one call", fit, len(part), time.perf_counter() - began)
    np.save(f"{folder}/knn.npy", distances[:, -1])
    began = time.perf_counter()
    for first in range(0, 4096, 128):
        index.search(part[first : first + 128], 50)
    told("faiss IndexFlatL2, batches of 128", fit, 4096, time.perf_counter() - began)
except ImportError:
    print("faiss is not installed")

from sklearn.covariance import EmpiricalCovariance
from sklearn.neighbors import NearestNeighbors

began = time.perf_counter()
neighbours = NearestNeighbors(n_neighbors=50, algorithm="brute").fit(unit(train))
fit = time.perf_counter() - began
began = time.perf_counter()
neighbours.kneighbors(unit(query[:8000]))
told("scikit-learn brute-force neighbours", fit, 8000, time.perf_counter() - began)

began = time.perf_counter()
means = np.stack([train[labels == c].mean(0) for c in range(classes)])
precision = EmpiricalCovariance(assume_centered=False).fit((train - means[labels]).astype(np.float32)).precision_
precision = precision.astype(np.float32)
fit = time.perf_counter() - began


def mahalanobis(rows, batch):
    for first in range(0, len(rows), batch):
        part = rows[first : first + batch]
        best = None
        for mean in means:
            centred = part - mean
            found = -np.diag(centred @ precision @ centred.T)
            best = found if best is None else np.maximum(best, found)


for batch in (200, 1024):
    began = time.perf_counter()
    mahalanobis(query[:20000], batch)
    told(f"numpy, OpenOOD's MDS, batches of {batch}", fit, 20000, time.perf_counter() - began)
try:
    import torch

    means, precision = torch.from_numpy(means), torch.from_numpy(precision)
    for batch in (200, 1024):
        rows = torch.from_numpy(query[:20000])
        began = time.perf_counter()
        for first in range(0, len(rows), batch):
            part = rows[first : first + batch]
            scores = torch.zeros((len(part), classes))
            for c in range(classes):
                centred = part - means[c]
                scores[:, c] = -torch.matmul(torch.matmul(centred, precision), centred.t()).diag()
            torch.max(scores, dim=1)
        told(f"torch {torch.__version__}, OpenOOD's MDS, batches of {batch}", fit, 20000, time.perf_counter() - began)
except ImportError:
    print("torch is not installed")

from sklearn.ensemble import IsolationForest
from sklearn.kernel_approximation import RBFSampler
from sklearn.linear_model import SGDOneClassSVM
from sklearn.mixture import GaussianMixture
from sklearn.pipeline import make_pipeline

gamma = 1 / (width * train.var())
plane = make_pipeline(RBFSampler(gamma=gamma, n_components=256, random_state=0), SGDOneClassSVM(random_state=0))
for name, model, score in (
    ("EmpiricalCovariance", EmpiricalCovariance(), lambda model, rows: model.mahalanobis(rows)),
    ("IsolationForest", IsolationForest(random_state=0), lambda model, rows: model.score_samples(rows)),
    (
        "GaussianMixture, 10 diagonal",
        GaussianMixture(10, covariance_type="diag", init_params="k-means++", random_state=0),
        lambda model, rows: model.score_samples(rows),
    ),
    ("RBFSampler, SGDOneClassSVM", plane, lambda model, rows: model.decision_function(rows)),
):
    began = time.perf_counter()
    model.fit(train)
    fit = time.perf_counter() - began
    began = time.perf_counter()
    for first in range(0, 40960, 1024):
        score(model, query[first : first + 1024])
    told(f"scikit-learn {name}", fit, min(40960, len(query)), time.perf_counter() - began)
