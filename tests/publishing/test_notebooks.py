"""Notebooks: their form, their parameters, and their execution. (nbval runs their cells: see `make test`.)"""

import ast
import re

import nbformat
import pytest
from nbformat.sign import NotebookNotary

from bbatch.errors import BadInput
from bbatch.publishing import execution, notebooks, outputs
from bbatch.records.store import ROOT

COMMITTED = notebooks.paths()
PAGES = [*COMMITTED, *sorted((ROOT / "book").glob("*.ipynb"))]
PARAMETERS = """name = "mnist"  # a data set
seeds: int = 2  # how many
rate: float = 0.1
sizes: list[int] = [1, 8]
quick = True"""


@pytest.fixture
def make(tmp_path):
    """make(cell, ...): a notebook of a parameters cell and these code cells."""

    def write(*sources):
        cells = [
            nbformat.v4.new_code_cell(source, id=f"cell-{k}")
            for k, source in enumerate((PARAMETERS, *sources))
        ]
        cells[0].metadata.tags = ["parameters"]
        kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
        nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), tmp_path / "made.ipynb")
        return tmp_path / "made.ipynb"

    return write


def cells(path, kind="code"):
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == kind]


def test_there_are_notebooks_and_each_is_listed():
    assert COMMITTED and {row["notebook"] for row in notebooks.listing()} == {path.stem for path in COMMITTED}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_committed_in_short_cells_and_with_the_outputs_alone_that_are_compared(path):
    """Outputs are text: no HTML, no object without text. `make outputs` renews them."""
    nbformat.validate(nbformat.read(path, as_version=4))
    tagged = outputs.compared(nbformat.read(path, as_version=4))
    others = [cell for cell in cells(path) if cell not in tagged]
    assert [cell.source for cell in others if cell.outputs or cell.execution_count] == []
    assert [cell.source for cell in tagged if not (cell.outputs and cell.execution_count)] == []
    for output in (output for cell in tagged for output in cell.outputs):
        text = output.get("text") or output.data["text/plain"]
        assert set(output.get("data", {})) <= {"text/plain"} and not outputs.UNTOLD.search(text)
    assert [cell.source for cell in cells(path) if len(cell.source.splitlines()) > 15] == []


@pytest.mark.parametrize("path", COMMITTED, ids=lambda path: path.stem)
def test_every_parameter_is_seen_has_a_known_type_and_a_word_of_help(path):
    tagged = [cell for cell in cells(path) if "parameters" in cell.metadata.get("tags", [])]
    assert len(tagged) == 1
    assigned = [
        node.target.id if isinstance(node, ast.AnnAssign) else node.targets[0].id
        for node in ast.parse(tagged[0].source).body
    ]
    rows = notebooks.parameters_of(path)
    # `papermill --help-notebook` names the type where it is written
    assert all(isinstance(node, ast.AnnAssign) for node in ast.parse(tagged[0].source).body)
    assert [row["parameter"] for row in rows] == assigned  # papermill skips lines that it cannot read
    for row in rows:
        assert row["help"] and re.fullmatch(r"(list\[)?(int|float|str|bool)\]?", row["type"]), row
        notebooks.check_parameters(path, {row["parameter"]: row["default"]})


@pytest.mark.parametrize("path", COMMITTED, ids=lambda path: path.stem)
def test_text_reads_in_jupyterlab_as_in_the_book(path):
    """JupyterLab shows the roles of MyST as they are written: a citation is a link, a term is a word."""
    assert re.findall(r"\{[a-z:]+\}`", "\n".join(cell.source for cell in cells(path, "markdown"))) == []


@pytest.mark.parametrize(
    "given, named",
    [
        ({"sede": 3}, "sede"),
        ({"seeds": "three"}, "seeds"),
        ({"seeds": 2.5}, "seeds"),
        ({"seeds": True}, "seeds"),
        ({"seeds": None}, "seeds"),
        ({"rate": "0.1"}, "rate"),
        ({"name": 7}, "name"),
        ({"sizes": 8}, "sizes"),
        ({"sizes": [8, "16"]}, "sizes"),
        ({"quick": 1}, "quick"),
        ({"seeds": 3, "Seeds": 3}, "Seeds"),
    ],
)
def test_an_unknown_parameter_or_a_wrong_type_is_refused_by_name_before_anything_runs(
    make, tmp_path, given, named
):
    path = make("open('ran', 'w').close()")
    with pytest.raises(BadInput) as refusal:
        execution.execute(path, given, tmp_path / "out.ipynb", progress=False)
    assert repr(named) in str(refusal.value) and str(refusal.value).count(". ") == 0
    assert sorted(p.name for p in tmp_path.iterdir()) == ["made.ipynb"]


@pytest.mark.parametrize(
    "given", [{"seeds": 3}, {"rate": 1}, {"rate": 0.5, "sizes": []}, {"name": "x", "quick": False}]
)
def test_a_known_parameter_of_the_right_type_is_taken(make, given):
    notebooks.check_parameters(make(), given)


@pytest.mark.parametrize("value", [3, True, "x", [1, "y"], None])
@pytest.mark.parametrize("default", ["None", "(1, 2)", "{1}"])
def test_a_parameter_of_no_type_known_here_takes_anything(default, value, tmp_path):
    path = tmp_path / "own.ipynb"
    cell = nbformat.v4.new_code_cell(f"mine = {default}", metadata={"tags": ["parameters"]})
    metadata = {"kernelspec": {"name": "python3", "language": "python", "display_name": "Python 3"}}
    nbformat.write(nbformat.v4.new_notebook(cells=[cell], metadata=metadata), path)
    notebooks.check_parameters(path, {"mine": value})


def test_a_parameter_is_read_from_text_as_what_it_looks_like():
    pairs = ["seeds=3", "name=mnist", "sizes=[1, 8]", "quick=False", "rate=1e-3", "text=a=b"]
    assert notebooks.parse(pairs) == {
        "seeds": 3,
        "name": "mnist",
        "sizes": [1, 8],
        "quick": False,
        "rate": 1e-3,
        "text": "a=b",
    }
    for bad in ("seeds", "=3", "a b=3"):
        with pytest.raises(BadInput, match=re.escape(repr(bad))):
            notebooks.parse([bad])


@pytest.mark.parametrize("name", ["99_nothing", "nowhere/01.ipynb"])
def test_an_unknown_notebook_is_refused_by_name(name):
    with pytest.raises(BadInput, match=re.escape(repr(name))):
        execution.execute(name)


def test_execution_with_parameters_leaves_the_same_bytes_twice(make, tmp_path):
    path = make(
        "import sys\nprint('one')\nprint('noise', id(object()), file=sys.stderr)\nprint(name, seeds, sizes)",
        "from tqdm.auto import tqdm\n[k for k in tqdm(range(3))]",
    )
    outputs = [
        execution.execute(path, {"seeds": 5}, tmp_path / f"{k}.ipynb", progress=False) for k in range(2)
    ]
    assert outputs[0].read_bytes() == outputs[1].read_bytes()
    assert NotebookNotary().check_signature(nbformat.read(outputs[0], as_version=4))
    *_, talk, bar = cells(outputs[0])
    assert [output.text for output in talk.outputs] == ["one\nmnist 5 [1, 8]\n"]
    assert [output.output_type for output in bar.outputs] == ["execute_result"]


def test_a_log_has_a_line_for_each_state_of_a_bar(make, tmp_path, capsys):
    """What `nohup` or a scheduler keeps: where the notebook is, where the loop inside a cell is, no bar drawn
    over itself."""
    path = make("from tqdm import tqdm\nfor k in tqdm(range(3), desc='training'):\n    pass")
    execution.execute(path, {}, tmp_path / "out.ipynb")
    said = capsys.readouterr().err
    assert "\r" not in said and "made: cell" in said and re.search(r"^training.* 3/3", said, re.M)
    assert [cell.outputs for cell in cells(tmp_path / "out.ipynb") if cell.outputs] == []


def test_a_failing_cell_is_named_and_what_ran_stays_readable(make, tmp_path):
    path = make("print('this ran')", "# why\n1 / 0", "print('this did not')")
    with pytest.raises(
        execution.NotebookFailed, match=r"made\.ipynb stopped in cell \[3\], `1 / 0`, with ZeroDivisionError"
    ):
        execution.execute(path, {}, tmp_path / "out.ipynb", progress=False)
    assert NotebookNotary().check_signature(
        nbformat.read(tmp_path / "out.ipynb", as_version=4)
    )  # else no drawing is shown
    text = (tmp_path / "out.ipynb").read_text()
    assert '"this ran\\n"' in text and "ZeroDivisionError" in text and '"this did not\\n"' not in text


def test_executed_copies_of_different_things_have_different_names(tmp_path):
    """Long values, values of two types, notebooks of one name from two folders: no name is another's, cut."""
    known, other, long = notebooks.find("05"), tmp_path / "05_generalization_gap.ipynb", ["synthetic-1k"] * 40
    given = [{}, {"seeds": 1}, {"seeds": 11}, {"datasets": long}, {"datasets": [*long, "mnist"]}]
    given += [{"a": "1-b=2"}, {"a": 1, "b": 2}]
    names = [execution._label(path, some) for path in (known, other) for some in given]
    assert len(set(names)) == len(names) and max(map(len, names)) < 200
    assert names[:2] == ["05_generalization_gap", "05_generalization_gap-seeds=1"]
