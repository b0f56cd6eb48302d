"""Append the vectors that a network learned for categories to a design matrix, as features for trees.

Guo & Berkhahn (2016) train the embeddings of categories in a network and give them to other models. The vectors were
learned from the labels of the network's training rows. A model that is trained on the same rows sees a little of their
labels through rare levels; train it on other rows, or compare on later ones. Vectors of two networks cannot be mixed:
each network has axes of its own.
"""

from __future__ import annotations

import numpy as np

from headrace.core.errors import DataError
from headrace.models.design import Design
from headrace.networks.families.fitted import FittedNetwork


def append_category_vectors(fitted: FittedNetwork, design: Design, *, keep_codes: bool = True) -> Design:
    """Return the design with one numeric column for each component of each category's vector.

    Args:
        fitted: A network that was trained on a design with the same columns.
        design: Rows [n, d]. A missing or unseen level has the vector that training gave to unseen levels.
        keep_codes: Whether the columns of codes stay.

    Raises:
        DataError: The design has other columns than the network was trained on.
    """
    if design.X.shape[1] != fitted.inputs.columns or tuple(design.categorical) != tuple(fitted.inputs.categorical):
        raise DataError(
            f"the network was trained on {fitted.inputs.columns} columns, categories at {fitted.inputs.categorical}",
            where="category vectors",
            found=[f"{design.X.shape[1]} columns, categories at {design.categorical}"],
        )
    codes = fitted.inputs.transform(design).codes
    parts, names = [], []
    for at, (column, vectors) in enumerate(fitted.category_vectors().items()):
        parts.append(vectors[codes[:, at]])
        names += [f"{design.names[column]}.vector{component}" for component in range(vectors.shape[1])]
    stays = [at for at in range(len(design.names)) if keep_codes or at not in design.categorical]
    kept = [design.names[at] for at in stays]
    return Design(
        X=np.concatenate([design.X[:, stays], *parts], axis=1).astype(np.float32),
        names=(*kept, *names),
        categorical=design.categorical if keep_codes else (),
    )
