"""Measure a few small NAS-Bench-201 networks on this CPU, learn their latency, and predict a network not measured.

python examples/measure_and_predict.py
"""

from __future__ import annotations

import chronas

space = chronas.space("nasbench201")
size = chronas.NetworkSize(input_shape=(3, 16, 16), outputs=10, width=8, depth=1)
table = chronas.measure(space, "onnxruntime-cpu", size=size, networks=40)
for name, text in table.describe():
    print(f"{name:<14} {text}")

predictor = chronas.fit(table, "lookup")
assert predictor.report is not None
scores = predictor.report.scores
print(f"Kendall {scores.kendall:.2f}, error {scores.mape_percent:.1f} % on networks it was not fitted to")

unseen = space.parse("|nor_conv_3x3~0|+|skip_connect~0|nor_conv_1x1~1|+|none~0|skip_connect~1|nor_conv_3x3~2|")
prediction = predictor.predict(space.encode([unseen]))
print(f"{unseen}: {prediction.mean[0]:.3f} +- {prediction.std[0]:.3f} ms")
