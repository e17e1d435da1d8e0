"""Writes small feature files with the libraries that other programs use: numpy, safetensors, pyarrow, pandas.

    python make_foreign.py FOLDER

Row r, column c of the features is (16 r + c) / 8 - 3: exact in f16, so that every type must give the same f32.
"""

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from safetensors.numpy import save_file

ROWS, LAYERS = 5, {"stage1": 2, "stage2": 3, "stage10": 1}
COLUMNS = sum(LAYERS.values())
folder = Path(sys.argv[1])
features = ((16 * np.arange(ROWS)[:, None] + np.arange(COLUMNS)[None, :]) / 8 - 3).astype(np.float32)
logits = (features[:, :4] * -2).astype(np.float32)
labels = np.array([3, 0, 9, 1, 3])
ids = np.array(["a.png", "b/ö.png", "c", "d e", "1"])
parts, start = {}, 0
for name, width in LAYERS.items():
    parts[name] = np.ascontiguousarray(features[:, start : start + width])
    start += width
widths = ",".join(f"{name}={width}" for name, width in LAYERS.items())

np.save(folder / "plain.npy", features)
np.savez(folder / "plain.npz", features=features, logits=logits, labels=labels, ids=ids, layers=widths)
np.savez_compressed(folder / "compressed.npz", features=features.astype(np.float64), labels=labels.astype(np.uint8),
                    ids=ids.astype(object).astype(str), logits=logits.astype(np.float16), layers=widths)
np.savez(folder / "big_endian_column_major.npz", features=np.asfortranarray(features.astype(">f8")),
         logits=np.asfortranarray(logits.astype(">f2")), labels=labels.astype(">i2"), ids=ids.astype(">U8"), layers=widths)
np.savez(folder / "one_array_a_layer.npz", **{f"layer.{name}": part for name, part in parts.items()},
         labels=labels, ids=ids, logits=logits)
np.savez(folder / "own_names.npz", feat_list=features, label_list=labels, logit_list=logits, names=ids, extra=np.zeros(3))
np.savez(folder / "objects.npz", features=features, ids=ids.astype(object))

about = {"layers": widths, "ids": json.dumps(ids.tolist())}
save_file({"features": features, "logits": logits, "labels": labels}, folder / "plain.safetensors", about)
save_file({"features": features.astype(np.float16), "logits": logits.astype(np.float64), "labels": labels.astype(np.int16)},
          folder / "half.safetensors", about)
save_file({f"layer.{name}": part for name, part in parts.items()} | {"labels": labels, "logits": logits},
          folder / "one_tensor_a_layer.safetensors", {"ids": about["ids"]})

scalars = {"id": ids, "label": labels}
scalars |= {f"layer.{name}.{c}": part[:, c] for name, part in parts.items() for c in range(part.shape[1])}
scalars |= {f"logits.{c}": logits[:, c] for c in range(logits.shape[1])}
pd.DataFrame(scalars).to_parquet(folder / "pandas_columns.parquet")
pd.DataFrame(features.astype(np.float64)).rename(columns=str).assign(id=ids).to_parquet(folder / "pandas_numbers.parquet")
lists = {"id": pa.array(ids), "label": pa.array(labels.astype(np.int32))}
lists |= {f"layer.{name}": pa.array(part.tolist(), pa.list_(pa.float32())) for name, part in parts.items()}
lists["logits"] = pa.array(logits.tolist(), pa.list_(pa.float64()))
pq.write_table(pa.table(lists), folder / "pyarrow_lists.parquet", compression="zstd")
fixed = {"id": pa.array(ids), "features": pa.FixedSizeListArray.from_arrays(pa.array(features.ravel()), COLUMNS)}
pq.write_table(pa.table(fixed), folder / "pyarrow_fixed_lists.parquet")
half = {"features": pa.array(features.astype(np.float16).tolist(), pa.list_(pa.float16()))}
pq.write_table(pa.table(half), folder / "pyarrow_half.parquet")
small = {"label": pa.array(labels.astype(np.int8)), "features": lists["logits"], "other": pa.array(features.tolist())}
pq.write_table(pa.table(small), folder / "pyarrow_small_label.parquet")
