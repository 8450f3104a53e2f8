"""Which measurement of geometry and noise is made of which run, and the long table that they are kept in."""

from __future__ import annotations

import pandas as pd

from .store import FROZEN

FOLDER = FROZEN / "geometry"
COLUMNS = ["dataset", "batch_size", "lr_rule", "precision", "seed", "epoch", "split", "measure", "value", "n_samples",
           "settings", "id", "source", "commit"]

# Name in the column `measure`, and what it is. Losses are mean cross-entropies in nats, in eval mode.
MEASURES = {
    "loss": "mean cross-entropy",
    "accuracy": "accuracy, percent",
    "weight_norm": "Euclidean norm of all parameters",
    "sharpness_l2": "Eq. (3), ‖δ‖₂ ≤ ε, maximised",
    "sharpness_l2_random": "Eq. (3), ‖δ‖₂ ≤ ε, random directions",
    "sharpness_linf": "Eq. (3), ‖δ‖∞ ≤ ε, maximised",
    "sharpness_linf_random": "Eq. (3), ‖δ‖∞ ≤ ε, random directions",
    "sharpness_relative": "Eq. (3), ‖δ‖₂ ≤ ε‖w‖₂, maximised",
    "sharpness_relative_random": "Eq. (3), ‖δ‖₂ ≤ ε‖w‖₂, random directions",
    "sharpness_filter": "Eq. (3), ‖δ_f‖₂ ≤ ε‖w_f‖₂ for each filter f, maximised",
    "sharpness_filter_random": "Eq. (3), ‖δ_f‖₂ ≤ ε‖w_f‖₂ for each filter f, random directions",
    "keskar_full": "Keskar's Metric 2.1, full space, percent",
    "keskar_subspace": "Keskar's Metric 2.1, random subspace, percent",
    "hessian_top": "largest eigenvalue of the Hessian",
    "hessian_trace": "trace of the Hessian",
    "gradient_variance": "Eq. (4), mini-batches without replacement",
    "gradient_variance_replaced": "Eq. (4), mini-batches with replacement",
    "gradient_variance_one_network": "Eq. (4), without replacement, all B on the network trained with B = 32",
    "gradient_trace": "tr(Σ), variance of the gradient of one sample",
    "gradient_norm2": "|G|², squared norm of the true gradient",
    "noise_scale": "gradient noise scale tr(Σ)/|G|², samples",
}
LITERAL = ("sharpness_l2", "train")  # Eq. (3) to the letter: a Euclidean ball, on the loss that training minimises


def measured(datasets=None) -> pd.DataFrame:
    """The recorded measurements, a row for each run, epoch and measure; empty with the same columns where none is.

    Columns:

    dataset, batch_size, lr_rule, precision, seed   the run whose weights were measured
    epoch       epochs trained: 0 at initialisation, the run's last at convergence
    split       "train" or "test": the samples of the loss
    measure     one of `MEASURES`, which says what it is
    value       in the measure's unit
    n_samples   how many samples of the split were used: the first n of a seeded order
    settings    what else decides the value: epsilon, steps, restarts, probes
    id          key of the run's record
    source      where the weights came from: "kept" by the sweep; "retrained", with the record's scores met exactly;
                "retrained, differs" where rounding on this machine led elsewhere
    commit      the package's, when it was measured

    For the three measures named gradient_variance, `batch_size` is that of the mini-batches drawn, and, but for
    "_one_network", of the run too. Sharpness for the paper's ratio to the letter is `LITERAL`, at the last epoch.
    """
    paths = sorted(FOLDER.glob("*.parquet")) if datasets is None else [FOLDER / f"{name}.parquet" for name in datasets]
    parts = [pd.read_parquet(path) for path in paths if path.is_file()]
    return pd.concat(parts, ignore_index=True)[COLUMNS] if parts else pd.DataFrame(columns=COLUMNS)
