"""Measure a few small NAS-Bench-201 networks on this CPU, learn their latency, and predict a network not measured.

python examples/measure_and_predict.py
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from chronas.devices import make_device
from chronas.measurement import Plan, run_campaign
from chronas.predictors import fit_and_report
from chronas.spaces import NetworkSize, make_space
from chronas.tables import CostTable

space = make_space("nasbench201")
size = NetworkSize(input_shape=(3, 16, 16), outputs=10, width=8, depth=1)
device = make_device("onnxruntime-cpu")

with tempfile.TemporaryDirectory() as folder:
    journal = Path(folder) / "journal.sqlite"
    run_campaign(device, size, space.sample(40, seed=0), Plan(), journal)
    table = CostTable.from_journal(journal)

for name, text in table.describe():
    print(f"{name:<14} {text}")

predictor, report = fit_and_report("lookup", table, seed=0)
print(f"Kendall {report.scores.kendall:.2f}, error {report.scores.mape_percent:.1f} % on networks it was not fitted to")

unseen = space.parse("|nor_conv_3x3~0|+|skip_connect~0|nor_conv_1x1~1|+|none~0|skip_connect~1|nor_conv_3x3~2|")
prediction = predictor.predict(space.encode([unseen]))
print(f"{unseen}: {prediction.mean[0]:.3f} +- {prediction.std[0]:.3f} ms")
