"""Faults that nothing can show, each with the reason: by rule, or (file, function, change) to reason."""

import re

ROUNDING = "rounding is far below either"
ANY_SEED = "one seed is as good as another"
BAR = "a word of the progress bar"
NO_OTHER_COLUMN = "the two tables share no other column"
PIECES = "samples at a time: the sum is the same"
LONG_FORM = "what the page shows was drawn once, for an hour; tests read what was written"
MEAN_OR_SUM = "a mean is off by rounding, far below either; a sum by the number of rows"
ONE_MORE = "one more column, which nothing reads"
SIDE = "a sign is 1 or -1"
# A bound that two measured numbers meet exactly: it happens with probability 0, or to the last bit alone.
ON_THE_EDGE = "only where two measured numbers are equal to the last bit"
EQUIVALENT: dict[tuple[str, str, str], str] = {
    ("analysis/estimate.py", "Estimate.interval", "0 to 1"): "both bounds are numbers, or neither is",
    (
        "analysis/estimate.py",
        "Estimate.interval",
        "math.isnan(self.value) or math.isnan(error): Or to And",
    ): "the arithmetic gives no number either",
    ("analysis/critical_batch_size.py", "likely_optima defaults", "0 to 1"): ANY_SEED,
    ("analysis/batch_and_rate.py", "bent_line", "1e-12 to 2e-12"): ROUNDING,
    ("analysis/choices_made.py", "_warmed", "0 to 1"): "a warm-up has five epochs",
    ("analysis/choices_made.py", "_scaled_downward", "0 to 1"): "a map is of one data set: any row names it",
    ("analysis/printed.py", "off_a_count", "1e-09 to 2e-09"): ROUNDING,
    (
        "analysis/printed.py",
        "off_a_count",
        "100 / n <= 2 * half + 1e-09: LtE to Lt",
    ): "the two sides are never equal: what is added is for their rounding",
    (
        "analysis/noise_and_batch_size.py",
        "noise_scales",
        "wide['gradient_trace'] < n * norm2: Lt to LtE",
    ): "two measured numbers are equal with probability 0",
    ("analysis/efficiency.py", "epoch_speedups", "0 to 1"): "an accuracy below any",
    ("analysis/scatter.py", "_common", "1e-12 to 2e-12"): ROUNDING,
    ("analysis/scatter.py", "_common", "100 to 101"): "it has settled long before",
    ("analysis/cells.py", "weighted", "1e-09 to 2e-09"): "weights sum to 0 but for rounding, or to far more",
    ("analysis/learning_rate_rules.py", "largest", "32 to 33"): "no batch size lies between",
    (
        "analysis/sharpness_and_batch_size.py",
        "_wide",
        "cell.groupby(['seed', 'batch_size'])['value'].mean to .median",
    ): "of one value",
    ("analysis/sharpness_and_batch_size.py", "against_gap", "i.low > 0: Gt to GtE"): ON_THE_EDGE,
    ("analysis/sharpness_and_batch_size.py", "against_gap", "i.high < 0: Lt to LtE"): ON_THE_EDGE,
    (
        "analysis/generalization_gap.py",
        "correlation_of",
        "1e-09 to 2e-09",
    ): "what is taken off a full correlation is far below what is shown",
    (
        "analysis/architectures.py",
        "by_network",
        "best.merge(batch_and_rate.cost_of_batch(found), on='batch_size'): without on",
    ): NO_OTHER_COLUMN,
    (
        "analysis/sharpness_and_batch_size.py",
        "against_gap",
        "_ends(table, dataset).merge(runs.drop_duplicates('id')[['id', 'gap']], on='id'): without on",
    ): NO_OTHER_COLUMN,
    (
        "analysis/arms_compared.py",
        "growth_and_decay",
        "0 to 1",
    ): "either arm has one batch size: any run names it; the rest is tested",
    ("analysis/warm_up.py", "image_pairs", "0 to 1"): "a name of both; any number would do",
    (
        "analysis/landscapes.py",
        "around",
        "abs(away - radius) < near: Lt to LtE",
    ): "no point of a grid lies 0.6 of its steps from either circle",
    ("geometry/hessian.py", "top_eigenvalues", "0 to 1"): ANY_SEED,
    ("geometry/hessian.py", "trace", "0 to 1"): ANY_SEED,
    (
        "geometry/hessian.py",
        "trace",
        "objective.curvature(w, v).double() * v.double(): Mult to Div",
    ): "the numbers of v are 1 and −1",
    (
        "geometry/hessian.py",
        "top_eigenvalues",
        "1e-07 to 2e-07",
    ): "where the Krylov space closes, what is left is rounding, far below either",
    ("geometry/sharpness.py", "keskar", "0 to 1"): ANY_SEED,
    (
        "geometry/drawing.py",
        "draw_missing",
        "pd.concat([measurements.surfaces([name]), new[POINT_COLUMNS]], ignore_index=True): "
        "without ignore_index",
    ): "the index is not written",
    ("geometry/networks.py", "network", "if source.stats: negated"): "how weights lie in memory, no more",
    (
        "geometry/landscape.py",
        "landscape",
        "tqdm(points, desc='landscape', unit='point', disable=not progress, mininterval=0.1 if sys.: "
        "without unit",
    ): BAR,
    ("geometry/one_network.py", "_sharpness", "500 to 501"): PIECES,
    ("geometry/objective.py", "<module>", "10000 to 10001"): PIECES,
    ("geometry/objective.py", "<module>", "1024 to 1025"): PIECES,
    ("claims/calibration.py", "<module>", "False to True"): ONE_MORE,
    (
        "claims/calibration.py",
        "<module>",
        "simulate(500).round(2).to_csv(index=False): without index",
    ): ONE_MORE,
    (
        "claims/calibration.py",
        "<module>",
        "error_rates(error_counts()).to_string(index=False): without index",
    ): ONE_MORE,
    ("claims/calibration.py", "<module>", "500 to 501"): LONG_FORM,
    ("claims/calibration.py", "<module>", "2 to 3"): LONG_FORM,
    ("claims/calibration.py", "simulate", "0 to 1"): ANY_SEED,
    ("claims/answers_on_training.py", "warm_up", "512 to 513"): "no batch size lies between",
    ("claims/answers_on_training.py", "warm_up", "0 to 1"): "each has two seeds, which is asserted above",
    (
        "claims/rules.py",
        "_range",
        "first > none: Gt to GtE",
    ): "no range of the paper begins at what means no effect",
    ("claims/overviews.py", "in_text", "96 to 97"): "how wide the terminal's lines are",
    (
        "choosing/selecting.py",
        "select_batch_size",
        "tqdm(total=0, desc='Algorithm 2', unit='epoch', disable=not progress): without unit",
    ): BAR,
    (
        "choosing/algorithm_2.py",
        "_barred",
        "b > trials[-1].batch_size: Gt to GtE",
    ): "the last batch size was tried, which is said before",
    (
        "choosing/selecting.py",
        "select_batch_size",
        "0 to 1",
    ): "the length of the progress bar; the rest is tested",
    (
        "choosing/selecting.py",
        "select_batch_size.train_at",
        "bar.total += epochs: Add to Sub",
    ): "the length of the progress bar",
    ("choosing/advice.py", "_amount", "1e-09 to 2e-09"): "both begin at the ninth decimal",
    ("choosing/checks.py", "_shapes", "0.001 to 0.002"): MEAN_OR_SUM,
    ("choosing/checks.py", "_shapes", "1e-06 to 2e-06"): MEAN_OR_SUM,
    ("choosing/checks.py", "load_torch", "1 to 2"): "a step that only loads what others need",
    ("choosing/memory_limit.py", "estimate", "0 to 1"): ANY_SEED,
    ("choosing/memory_limit.py", "_child", "0 to 1"): ANY_SEED,
    (
        "choosing/recommend.py",
        "recommend",
        "tqdm(total=budget, disable=not progress, bar_format=form, leave=False): without leave",
    ): BAR,
    ("choosing/recommend.py", "recommend", "False to True"): BAR,
    (
        "choosing/search.py",
        "Search._fall_back",
        "LAST - 1: Sub to Add",
    ): "where it is asked, the default has no score at full length",
    ("claims/simulated.py", "_number", "2 * s.tolerance * sides: Mult to Div"): SIDE,
    (
        "evaluation/problems.py",
        "protocol",
        "1 to 2",
    ): "the synthetic sets have one protocol, whichever stands for it",
    (
        "evaluation/tables.py",
        "runs",
        "pd.concat(parts, ignore_index=True): without ignore_index",
    ): "rows are numbered anew in the end",
    ("evaluation/tables.py", "evaluate", "1 to 2"): "a training that only loads what the others need",
    (
        "evaluation/ways.py",
        "grid_search",
        "base_lr * STEP ** k: Mult to Div",
    ): "the steps lie alike on both sides of the middle",
    (
        "evaluation/ways.py",
        "grid_search",
        "middle * 2 ** k: Mult to Div",
    ): "the sizes lie alike on both sides of the middle",
    ("evaluation/ways.py", "grid_search", "0 to 1"): "only the batch size and the rate are read",
    (
        "records/integrity.py",
        "_versions",
        "log.decode(errors='replace'): without errors",
    ): "git writes names in ASCII unless it is told otherwise",
    ("pages/remedy_figures.py", "_panel", "mean < low: Lt to LtE"): "a share at the edge has no arrow",
    ("pages/style.py", "legend", "0 to 1"): "there are as many names as marks",
    ("pages/report.py", "_with_further_seeds", "0 to 1"): "any seed that is the same for all",
    ("pages/report.py", "show", "0 to 1"): "either is narrow",
    ("pages/verdict_in_words.py", "figure_calibration", "0 to 1"): "the panels share their axis",
    ("pages/verdict_in_words.py", "figure_calibration", "False to True"): "the rows are sorted anew",
    ("pages/choice_figures.py", "regrets", "0 to 1"): "without a regret the axis has its least length",
    ("pages/choices_figure.py", "_mark", "i.low to .high"): "both bounds are numbers, or neither is",
    ("pages/choices_figure.py", "_mark", "0.97 * side: Mult to Div"): SIDE,
    ("pages/choices_figure.py", "_mark", "0.92 * side: Mult to Div"): SIDE,
    ("pages/choices_figure.py", "_mark", "side < 0: Lt to LtE"): SIDE,
    ("pages/noise_figures.py", "variance", "1.0 to 2.0"): "the fit scales it away",
    (
        "pages/noise_figures.py",
        "variance",
        "found['n_samples'].max to .min",
    ): "the networks of a data set are measured on equally many samples",
    (
        "pages/noise_figures.py",
        "noise_scale_in_training",
        "t[t['dataset'] == dataset].dropna(subset='value'): without subset",
    ): "no other column has holes",
}
EDGES = {
    ("choosing/algorithm_2.py", "start"),
    ("choosing/search.py", "Search._look.tried"),
    ("choosing/search.py", "Search._bar"),
    ("claims/rules.py", "_agrees"),
    ("analysis/accuracy.py", "one_more_run"),
    ("analysis/batch_and_rate.py", "bent_line"),
    ("analysis/cells.py", "weighted"),
    ("analysis/critical_batch_size.py", "likeliest"),
    ("analysis/precision.py", "_told"),
    ("analysis/rate_map.py", "Grid.at"),
    ("pages/figures.py", "_panel"),
    ("pages/landscape_figures.py", "contours"),
    ("pages/landscape_surfaces.py", "_decades"),
    ("pages/style.py", "is_grey"),
}
# Sketches: how large a box is says nothing; what stands beside it is tested.
SKETCHES = {("pages/protocol_figures.py", "_box")}


def reason(file: str, site) -> str:
    """Why the fault at this place changes nothing; empty where it should be noticed."""
    edge = re.search(r": (LtE to Lt|Lt to LtE|GtE to Gt|Gt to GtE)$", site.text)
    if edge and (file, site.function) in EDGES:
        return ON_THE_EDGE
    if (file, site.function) in SKETCHES:
        return "the size of a box in a sketch"
    return EQUIVALENT.get((file, site.function, site.text), "")
