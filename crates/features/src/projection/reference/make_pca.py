#!/usr/bin/env python3
"""Writes pca.json: samples and their first two principal components by scikit-learn.

    python3 -m venv venv && venv/bin/pip install scikit-learn numpy
    venv/bin/python make_pca.py > pca.json

Signs are set so that the coefficient of largest size of each component is positive. Samples are exact in f32.
"""
import json
import sys

import numpy as np
import sklearn
from sklearn.decomposition import PCA

random = np.random.default_rng(20250101)
mixing = random.normal(size=(6, 6)) * np.array([3.0, 2.0, 1.0, 0.5, 0.3, 0.1])[:, None]
samples = (random.normal(size=(25, 6)) @ mixing + random.normal(size=6) * 5).astype(np.float32)
model = PCA(n_components=2, svd_solver="full").fit(samples.astype(np.float64))
points = model.transform(samples.astype(np.float64))
for k, vector in enumerate(model.components_):
    if vector[np.argmax(np.abs(vector))] < 0:
        points[:, k] *= -1
json.dump(
    {
        "made_with": f"scikit-learn {sklearn.__version__}, numpy {np.__version__}",
        "width": 6,
        "samples": [float(x) for x in samples.ravel()],
        "points": [float(x) for x in points.ravel()],
        "shares": [float(x) for x in model.explained_variance_ratio_],
    },
    sys.stdout,
)
print()
