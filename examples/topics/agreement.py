"""How well do raters agree, beyond what chance would give?"""

from quorate import consensus

# One row a rater, one column an item; None where a rater said nothing (Krippendorff 2011).
RATINGS = [
    [1, 2, 3, 3, 2, 1, 4, 1, 2, None, None, None],
    [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, None, 3],
    [None, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, None],
    [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, None],
]

# Any number of raters, any gaps. The level says what a difference means: equal or not, or how far apart.
for level in ("nominal", "ordinal", "interval"):
    alpha = consensus.krippendorff_alpha(RATINGS, level=level)
    print(f"alpha, {level}: {alpha.value:.3f}")

# How sure is that? The bootstrap draws items; the seed makes it repeatable.
alpha = consensus.krippendorff_alpha(RATINGS, bootstrap=1000, seed=0)
print(f"interval of the nominal alpha: {alpha.low:.2f} to {alpha.high:.2f}")

# Two raters about the same items: Cohen's kappa, with credit for near misses where the values have an order.
ann = ["mild", "mild", "severe", "moderate", "severe", "mild", "moderate", "mild"]
bob = ["mild", "moderate", "severe", "moderate", "moderate", "mild", "moderate", "mild"]
scale = {"mild": 1, "moderate": 2, "severe": 3}
print(f"kappa: {consensus.cohen_kappa(ann, bob).value:.3f}")
weighted = consensus.cohen_kappa([scale[x] for x in ann], [scale[x] for x in bob], weights="quadratic")
print(f"weighted kappa: {weighted.value:.3f}")

# What is undefined says so and why, instead of being a number.
nothing = consensus.cohen_kappa(["mild", "mild"], ["mild", "mild"])
print("undefined:", nothing.undefined)
