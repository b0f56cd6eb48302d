"""Functions of one number, and its rounding."""

from __future__ import annotations

import numpy as np

from headrace.synthesis.transforms.transform import of_numbers

NUMERIC = (
    of_numbers("log", "log(1 + a), of a >= 0", lambda a: np.log1p(np.where(a >= 0, a, np.nan))),
    of_numbers("signed_log", "log(1 + |a|) with the sign of a", lambda a: np.sign(a) * np.log1p(np.abs(a))),
    of_numbers("square_root", "root of a, of a >= 0", np.sqrt),
    of_numbers("cube_root", "cube root of a", np.cbrt),
    of_numbers("square", "a * a", np.square),
    of_numbers("exponential", "e^a", np.exp),
    of_numbers("reciprocal", "1 / a", np.reciprocal),
    of_numbers("logistic", "1 / (1 + e^-a)", lambda a: 1 / (1 + np.exp(-a))),
    of_numbers("absolute", "|a|", np.abs),
    of_numbers("negate", "-a", np.negative),
    of_numbers("sign", "-1, 0 or 1: the sign of a", np.sign),
    of_numbers("sine", "sine of a (radians)", np.sin),
    of_numbers("cosine", "cosine of a (radians)", np.cos),
    of_numbers("tangent", "tangent of a (radians)", np.tan),
    of_numbers("round", "the whole number nearest to a, halves to the even one", np.rint),
    of_numbers("floor", "the largest whole number that is not above a", np.floor),
    of_numbers("ceiling", "the smallest whole number that is not below a", np.ceil),
    of_numbers("fraction", "a - floor(a)", lambda a: a - np.floor(a)),
    of_numbers("bin_10", "the largest multiple of 10 that is not above a", lambda a: np.floor(a / 10) * 10),
    of_numbers("bin_100", "the largest multiple of 100 that is not above a", lambda a: np.floor(a / 100) * 100),
    of_numbers("clip_0_1", "a, limited to the range from 0 to 1", lambda a: np.clip(a, 0, 1)),
    of_numbers("positive_part", "a, or 0 if it is below", lambda a: np.maximum(a, 0)),
    of_numbers("is_positive", "whether a > 0", lambda a: a > 0, result="boolean"),
    of_numbers("is_negative", "whether a < 0", lambda a: a < 0, result="boolean"),
    of_numbers("is_zero", "whether a = 0", lambda a: a == 0, result="boolean"),
)
