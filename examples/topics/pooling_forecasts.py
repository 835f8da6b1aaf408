"""What do several forecasts say together, and how good were they?"""

import numpy as np

from quorate import consensus

# Three experts: how likely is it that the device is cleared this year?
forecasts = [0.9, 0.7, 0.6]
print(f"linear pool: {consensus.linear_pool(forecasts):.4f}")
print(f"logarithmic pool: {consensus.log_pool(forecasts):.4f}")
# Where each knows a part of the evidence only, all together may be surer than each.
print(f"extremised pool: {consensus.extremized_pool(forecasts):.4f}")
# Weights need not sum to 1.
print(f"weighted: {consensus.linear_pool(forecasts, weights=[2, 1, 1]):.4f}")

# Distributions over more than two outcomes: one row an expert.
opinions = [[0.2, 0.5, 0.3], [0.1, 0.8, 0.1]]
pooled = consensus.linear_pool(opinions)
print("of three outcomes:", *(f"{p:.3f}" for p in np.atleast_1d(pooled)))

# Are the experts unsure together, or sure of different things? Both pools say 1/2; the entropy tells them apart.
unsure, split = consensus.density_pool([0.5, 0.5]), consensus.density_pool([1.0, 0.0])
print(f"unsure together: entropy {unsure.entropy:.2f}; split: entropy {split.entropy:.2f}")

# When it is known what happened: 0 is best.
print(f"Brier score: {consensus.brier_score([0.9, 0.2], [True, False]):.3f}")
print(f"log score: {consensus.log_score([0.9, 0.2], [True, False]):.3f}")
