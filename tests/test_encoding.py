"""The encoding: data to inputs and targets, predictions to answers, and every refusal in between."""

import io
import json
import math
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from nbdl_standard.readers import csv

from nbdl.cli.source import hold_out
from nbdl.data.arrays import Arrays
from nbdl.data.encoding import BLOCK_ROWS, Encoding
from nbdl.data.remarks import remarks
from nbdl.data.table import Table
from nbdl.data.target import guess_task
from nbdl.errors import DataError

IRIS = "length,width,kind\n1,10,rose\n2,10,aster\n3,10,rose\n6,10,lily\n"
HOUSES = "area,price\n1,100.5\n2,200.5\n3,300.5\n"


def table(text: str) -> Table:
    return csv.read(io.StringIO(text))


# --- Guessing the task ------------------------------------------------------------------------------------


def numbers(values: object) -> Table:
    return table("x,y\n" + "".join(f"0,{value}\n" for value in values))


@pytest.mark.parametrize(
    ("data", "task", "reason"),
    [
        (table(IRIS.replace("kind", "y")), "classification", "target 'y' is text with 3 classes"),
        (numbers([*range(20), *range(20)]), "classification", "whole numbers with 20 distinct"),
        (numbers([*range(20), *range(19), 19.0]), "classification", "whole numbers with 20 distinct"),
        (numbers(range(20)), "regression", "whole numbers with 20 distinct values in 20 rows"),
        (numbers(range(10)), "classification", "whole numbers with 10 distinct"),
        (numbers(range(21)), "regression", "whole numbers with 21 distinct"),
        (numbers([0.5, 1]), "regression", "not whole"),
        (Arrays("a", np.eye(3), np.array([0, 1, 2])), "classification", "y holds whole numbers with 3"),
        (Arrays("a", np.eye(3), np.array([[0], [1], [2]])), "classification", "whole numbers with 3"),
        (Arrays("a", np.eye(3), np.array([True, False, True])), "classification", "2 distinct"),
        (Arrays("a", np.eye(3), np.eye(3)), "classification", "one-hot with 3 classes"),
        (Arrays("a", np.eye(3), np.ones((3, 2))), "regression", "2 numbers in each row"),
        (Arrays("a", np.eye(3), np.array(["a", "b", "a"])), "classification", "text with 2 classes"),
    ],
)
def test_guess(data: Table | Arrays, task: str, reason: str) -> None:
    found, why = guess_task(data, "y")
    assert found == task
    assert reason in why
    assert "\n" not in why


def test_a_slip_among_numbers_is_no_class() -> None:
    data = numbers([*(i + 0.5 for i in range(30)), "n/a"])
    with pytest.raises(DataError, match=r"line 32, column 'y': 'n/a' marks a missing value.* 1 of 31 cells"):
        guess_task(data, "y")
    with pytest.raises(DataError, match=r"line 32, column 'y': 'n/a' marks a missing value"):
        Encoding.fit(data, "y", task="regression")
    assert guess_task(numbers([*range(10), "x"]), "y")[0] == "classification"


@pytest.mark.parametrize("unit", [" kg", "kg", " km/h", "°C", " m2", "m²", " µg", " percent"])
@pytest.mark.parametrize("sign", ["", "\N{MINUS SIGN}", "1."])
def test_numbers_with_a_unit_are_no_classes(unit: str, sign: str) -> None:
    data = table("a,y\n" + "".join(f"{row},{sign}{row % 7 + 1}{unit}\n" for row in range(70)))
    number = f"{sign}1".replace("\N{MINUS SIGN}", "-")
    message = rf"line 2, column 'y': .* write the number alone, without '{unit.strip()}', as in {number}\. 70 of 70"
    with pytest.raises(DataError, match=message):
        guess_task(data, "y")
    with pytest.raises(DataError, match="write the number alone"):
        Encoding.fit(data, "y", task="regression")
    assert len(Encoding.fit(data, "y", task="classification").classes) == 7


@pytest.mark.parametrize(
    "cells",
    [("2D", "3D"), ("1st", "2nd", "3rd"), ("1 star", "2 stars", "3 stars"), ("Q1", "Q2", "Q3"), ("10am", "11am", "1pm"),
     ("0-9 kg", "10-19 kg", "20-29 kg"), ("36", "38", "40", "2XL"), ("kg", "g", "t")],
)  # fmt: skip
def test_classes_that_begin_like_numbers_are_classes(cells: tuple[str, ...]) -> None:
    task, reason = guess_task(table("a,y\n" + "".join(f"1,{cell}\n" for cell in cells * 10)), "y")
    assert task == "classification"
    assert reason.startswith(f"target 'y' is text with {len(cells)} classes")


def test_classes_of_which_some_are_numbers_are_noted() -> None:
    sizes = table("a,y\n" + "".join(f"1,{cell}\n" for cell in ("36", "38", "40", "XL") * 10))
    noted = "text with 4 classes; 30 of 40 cells are numbers, but not 'XL' (10)"
    assert guess_task(sizes, "y") == ("classification", f"target 'y' is {noted}")


@pytest.mark.parametrize("mark", ["NA", "N/A", "#N/A", "?", "-", "--", "null", "None", "<NA>", "#DIV/0!"])
@pytest.mark.parametrize("distinct", [2, 6, 60])
def test_a_missing_value_makes_no_class_of_numbers(mark: str, distinct: int) -> None:
    data = numbers([*(i % distinct for i in range(60)), mark, mark])
    with pytest.raises(DataError, match=rf"line 62, column 'y': '{re.escape(mark)}' marks a missing.* 2 of 62 cells"):
        guess_task(data, "y")
    as_array = Arrays("a", np.zeros((62, 1)), np.array(data.column("y")))
    with pytest.raises(DataError, match=r"a, y, row 60: .* 2 of 62 cells"):
        guess_task(as_array)


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (["0,5", "1,5", "2,25"], r"line 2, .*'0,5' is not a number: write decimals with a point, as in 0.5. 60 of 60"),
        (["1,012", "1,070"], "write 1012 if the comma parts thousands, 1.012 if it parts decimals"),
        (["1,012", "12,5"], "as in 1.012"),
        (["1,012", "1,000,000"], "without signs between the thousands, as in 1012"),
        (["1,012", "1.5"], "without signs between the thousands, as in 1012"),
        (["1.234,5", "2"], "as in 1234.5"),
        (["1 234", "2"], "without signs between the thousands, as in 1234"),
        (["12%", "$5"], r"'12%' is not a number: write the number alone, as in 12\."),
        (["\u22125", "3"], "write the number alone, as in -5"),
        ([*("0123456789" * 3), "unknown"], r"line 32, column 'y': 'unknown' stands among numbers.* 1 of 60 cells"),
        (["0.5", "1.5", "low"], r"line 4, .*'low' stands among numbers.* 20 of 60 cells.* 'low' \(20\)"),
    ],
)
def test_numbers_in_another_form_are_no_classes(cells: list[str], message: str) -> None:
    repeated = [cells[i % len(cells)] for i in range(60)]
    data = Table("t.csv", {"x": np.zeros(60), "y": repeated}, range(2, 62))
    with pytest.raises(DataError, match=message):
        guess_task(data, "y")
    assert len(Encoding.fit(data, "y", task="classification").classes) == len(set(cells))


@pytest.mark.parametrize("cells", [["1", "2", "A"], ["yes", "no", "NA"], ["0", "7", "none of both", "-"]])
def test_classes_of_text_and_numbers_stay_classes(cells: list[str]) -> None:
    data = Table("t.csv", {"y": 20 * cells}, range(2, 2 + 20 * len(cells)))
    assert guess_task(data, "y")[0] == "classification"


def test_names_are_no_classes() -> None:
    with pytest.raises(DataError, match=r"target 'y' is text with 30 different values in 40 rows, such as 'name 0'"):
        guess_task(numbers([f"name {i % 30}" for i in range(40)]), "y")


@pytest.mark.parametrize("cell", ["NA", "?", "", "x", "inf", "1e300", "3,5"])
@pytest.mark.parametrize("row", range(0, 40, 3))
def test_a_bad_cell_is_found_whatever_part_it_falls_into(cell: str, row: int) -> None:
    rows = [f'{at}.5,"{cell if at in (row, row + 1) else at}",{at % 7}.5\n' for at in range(41)]
    data = table("a,b,y\n" + "".join(rows))
    rest, test = hold_out(data, "y", "regression", 0.2, 0)
    assert test is not None
    training, validation = hold_out(rest, "y", "regression", 0.2, 1)
    for part in (training, validation, test):
        with pytest.raises(DataError, match=rf"line {row + 2}, column 'b': .* 2 of 41 cells"):
            Encoding.fit(part, "y")
        with pytest.raises(DataError, match=rf"line {row + 2}, column 'b'"):
            part.numbers("b")


@pytest.mark.parametrize("row", range(0, 40, 3))
@pytest.mark.parametrize(("where", "value"), [("x", np.nan), ("x", 1e300), ("y", np.inf)])
@pytest.mark.parametrize("standardize", [True, False])
def test_a_bad_number_of_arrays_is_found_whatever_part_it_falls_into(
    row: int, where: str, value: float, standardize: bool
) -> None:
    x, y = np.arange(82.0).reshape(41, 2), np.arange(41) / 2
    rest, test = hold_out(Arrays("a", x, y), None, "regression", 0.2, 0)
    training, validation = hold_out(rest, None, "regression", 0.2, 1)
    assert test is not None
    if where == "x":
        x[row : row + 2, 1] = value  # which the parts, made before, do not see
    else:
        y[row : row + 2] = value
    message = rf"a, row {row}, feature 1: .* 2 numbers of x" if where == "x" else rf"a: y, row {row}: .* 2 numbers of y"
    for part in (training, validation, test):
        with pytest.raises(DataError, match=message):
            Encoding.fit(part, standardize=standardize)
    places = sorted([*training.row_numbers, *validation.row_numbers, *test.row_numbers])
    assert places == list(range(41))


def test_every_column_with_bad_cells_is_named() -> None:
    data = table("a,b,c,y\n1,?,x,1\n2,NA,x,2\n3,1,x,3\n")
    message = r"line 2, column 'b': '\?' marks .* 2 of 3 cells .*'\?' \(1\), 'NA' \(1\). Other columns .* 'c' \(3\)"
    with pytest.raises(DataError, match=message):
        Encoding.fit(data, "y")


def test_lines_that_were_not_parted() -> None:
    with pytest.raises(DataError, match=r"no column 'y'.* if '\|' parts the cells, give delimiter='\|'"):
        guess_task(table("a|b|y\n1|2|3\n"), "y")
    encoding = Encoding.fit(table(IRIS), "kind")
    with pytest.raises(DataError, match=r"missing columns 'length', 'width'.* if '\|' parts"):
        encoding.encode(table("length|width\n1|2\n"))


def test_remarks() -> None:
    size = 40
    columns: dict[str, Any] = {
        "id": np.arange(size) + 1000.0,
        "shuffled": np.random.default_rng(0).permutation(size) * 1.0,
        "user_id": np.random.default_rng(0).permutation(size) * 7.0,
        "area": np.random.default_rng(1).permutation(size) * 7.0,
        "same": np.full(size, 0.1),
        "y": ["Yes", "yes", "no", "no", "NA"] * 7 + ["no"] * 4 + ["Letter"],
    }
    data = Table("t.csv", columns, range(2, size + 2))
    found = list(remarks(data, "y", "classification", ["id", "shuffled", "user_id", "area", "same"]))
    assert found == [
        "the same value in every row of 'same': it tells the model nothing",
        "different whole numbers in all rows of 'id', 'shuffled', 'user_id': row numbers or IDs? If so, "
        "--ignore 'id' --ignore 'shuffled' --ignore 'user_id'",
        "a single row of class 'Letter': too few to learn from",
        "classes 'Yes', 'yes' differ only in upper and lower case or in spaces: one class or several?",
        "taken as a class of its own, not as a missing value: 'NA' (7 rows)",
    ]
    assert list(remarks(numbers(range(30)), "y", "regression", [])) == []


# --- Tables -----------------------------------------------------------------------------------------------


def test_inputs_are_standardized_in_float64() -> None:
    data = table(HOUSES)
    encoding = Encoding.fit(data, "price")
    x = encoding.encode(data)
    assert x.dtype == np.float32
    np.testing.assert_allclose(x, np.array([[-1], [0], [1]]) / math.sqrt(2 / 3), rtol=1e-6)
    large = table("a,b\n" + "".join(f"{1e9 + i!r},{i}.5\n" for i in range(30)))
    assert abs(Encoding.fit(large, "b").encode(large).std() - 1) < 1e-6


@pytest.mark.parametrize("constant", ["10", "0.1", "1e30", "-3e-300"])
def test_constant_column_becomes_zero(constant: str) -> None:
    data = table("a,b,y\n" + "".join(f"{constant},{i},{i % 2}\n" for i in range(9)))
    encoding = Encoding.fit(data, "y")
    assert encoding.deviation[0] == 1.0
    assert (encoding.encode(data)[:, 0] == 0).all()


def test_classes_are_sorted_and_decoded() -> None:
    data = table(IRIS)
    encoding = Encoding.fit(data, "kind")
    assert encoding.features == ("length", "width")
    assert encoding.classes == ("aster", "lily", "rose")
    assert encoding.outputs == 3
    y = encoding.encode_target(data)
    assert y.dtype == np.int32
    np.testing.assert_array_equal(y, [2, 0, 2, 1])
    assert encoding.decode(np.eye(3, dtype=np.float32)[y]) == ["rose", "aster", "rose", "lily"]


def test_whole_number_classes_sort_as_numbers_and_match_however_written() -> None:
    encoding = Encoding.fit(numbers([10, 9, 2, 10]), "y")
    assert encoding.classes == ("2", "9", "10")
    np.testing.assert_array_equal(encoding.encode_target(table("y,x\n9.0,0\n2,0\n")), [1, 0])
    np.testing.assert_array_equal(encoding.encode_target(table('y,x\n"10",0\n 2 ,0\n')), [2, 0])


def test_text_classes_that_look_like_numbers_stay_apart() -> None:
    data = numbers(["01", "1", "1.0", "a", "3.0"])
    encoding = Encoding.fit(data, "y")
    assert encoding.classes == ("01", "1", "1.0", "3.0", "a")
    np.testing.assert_array_equal(encoding.encode_target(data), [0, 1, 2, 4, 3])
    np.testing.assert_array_equal(encoding.encode_target(numbers([3, 1])), [3, 1])


def test_fractions_may_be_classes_if_asked_for() -> None:
    data = numbers([0.5, 2, 0.5])
    encoding = Encoding.fit(data, "y", task="classification")
    assert encoding.classes == ("0.5", "2")
    np.testing.assert_array_equal(encoding.encode_target(data), [0, 1, 0])


def test_two_classes_may_have_one_output() -> None:
    encoding = Encoding.fit(numbers(["no", "yes"]), "y")
    for shape in ((3,), (3, 1)):
        assert encoding.decode(np.array([0.2, 0.5, 0.7]).reshape(shape)) == ["no", "no", "yes"]
    assert encoding.decode(np.array([[0.9, 0.1], [0.4, 0.6]])) == ["no", "yes"]


def test_regression_target_comes_back_in_its_own_unit() -> None:
    data = table(HOUSES)
    encoding = Encoding.fit(data, "price")
    y = encoding.encode_target(data)
    assert y.shape == (3, 1)
    assert y.dtype == np.float32
    assert abs(float(y.mean())) < 1e-6
    assert abs(float(y.std()) - 1) < 1e-6
    assert encoding.decode(y) == pytest.approx([100.5, 200.5, 300.5], rel=1e-6)
    assert all(type(value) is float for value in encoding.decode(y[:, 0]))


def test_not_standardized() -> None:
    data = table(HOUSES)
    encoding = Encoding.fit(data, "price", standardize=False, scale=2)
    np.testing.assert_array_equal(encoding.encode(data), [[0.5], [1], [1.5]])
    np.testing.assert_array_equal(encoding.encode_target(data), [[100.5], [200.5], [300.5]])


def test_ignored_columns() -> None:
    data = table("id,a,y\nx,1,0\ny,2,1\n")
    assert Encoding.fit(data, "y", ignore=["id"]).features == ("a",)
    with pytest.raises(DataError, match=r"no column 'ip'.*Columns: id, a, y"):
        Encoding.fit(data, "y", ignore=["ip"])
    with pytest.raises(DataError, match=r"no column is left"):
        Encoding.fit(data, "y", ignore=["id", "a"])


def test_prediction_takes_columns_in_any_order_and_more_of_them() -> None:
    data = table(IRIS)
    encoding = Encoding.fit(data, "kind")
    other = table("note,width,length\nhm,10,1\n,10,2\n")
    np.testing.assert_array_equal(encoding.encode(other), encoding.encode(data)[:2])
    assert not encoding.has_target(other)
    assert encoding.has_target(data)
    assert encoding.encode(table("length,width,kind\n1,10,never seen\n")).shape == (1, 2)
    with pytest.raises(DataError, match=r"no column 'kind'"):
        encoding.encode_target(other)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Length,width\n1,2\n", "missing column 'length'. Did you mean 'Length'.*needs: length, width"),
        ("a,b\n1,2\n", "missing columns 'length', 'width'"),
        ("length,width\n1,2\n,2\n", "line 3, column 'length': the cell is empty"),
        ("length,width\n1,2\n3,nan\n", "line 3, column 'width': nan is not a finite number"),
        ("length,width\n1,2\n3,-inf\n", "line 3, column 'width': -inf is not a finite number"),
        ("length,width\n1,2\n3,x\n", "line 3, column 'width': 'x' is not a number"),
        ("length,width\n1e300,2\n", r"line 2, column 'length': 1e\+300 does not fit float32"),
    ],
)
def test_bad_rows_at_prediction_and_training(text: str, message: str) -> None:
    encoding = Encoding.fit(table(IRIS), "kind")
    with pytest.raises(DataError, match=message):
        encoding.encode(table(text))
    if "missing" not in message:
        training = text.replace("\n", ",y\n", 1).replace("2\n", "2,0\n").replace("nan\n", "nan,1\n")
        training = training.replace("inf\n", "inf,1\n").replace("x\n", "x,1\n") + "1,1,1\n"
        with pytest.raises(DataError, match=message):
            Encoding.fit(table(training), "y")


def test_a_value_far_from_the_training_data() -> None:
    encoding = Encoding.fit(table("a,y\n1e-9,0\n2e-9,1\n"), "y")
    with pytest.raises(DataError, match=r"line 2, column 'a': .* too far from the values seen in training"):
        encoding.encode(table("a\n1e35\n"))


@pytest.mark.parametrize(
    ("text", "target", "options", "message"),
    [
        (IRIS, None, {}, "which column is the target. Columns: length, width, kind"),
        (IRIS, "king", {}, "no column 'king'. Did you mean 'kind'"),
        (IRIS, "kind", {"task": "regression"}, "line 2, column 'kind': 'rose' is not a number"),
        (IRIS, "kind", {"task": "ranking"}, "task 'ranking' is unknown"),
        (IRIS, "kind", {"scale": 0}, "scale is 0"),
        (IRIS, "width", {}, "the target is '10' in every row"),
        ("a,y\n1,x\n2,\n", "y", {}, "line 3, column 'y': the target is empty.* 1 of 2 cells"),
        ("a,y\n1,1.5\n2,1.5\n", "y", {}, "the target is 1.5 in every row"),
        ("a,y\n1,1\n2,nan\n", "y", {}, "line 3, column 'y': nan"),
    ],
)
def test_bad_training(text: str, target: str | None, options: dict[str, object], message: str) -> None:
    with pytest.raises(DataError, match=message):
        Encoding.fit(table(text), target, **options)


def test_unseen_class_lists_the_classes() -> None:
    encoding = Encoding.fit(table(IRIS), "kind")
    expected = "line 3, column 'kind': class 'tulip' not seen in training. Classes: aster, lily, rose"
    with pytest.raises(DataError, match=expected):
        encoding.encode_target(table("length,width,kind\n1,2,lily\n1,2,tulip\n"))
    with pytest.raises(DataError, match=r"2 rows have such classes: 'tulip' \(1\), 'elm' \(1\)"):
        encoding.encode_target(table("length,width,kind\n1,2,lily\n1,2,tulip\n1,2,elm\n"))


# --- Arrays -----------------------------------------------------------------------------------------------

IMAGES = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)


def test_arrays_are_taken_as_they_are() -> None:
    data = Arrays("a", IMAGES, np.array([3, 7]))
    encoding = Encoding.fit(data)
    np.testing.assert_array_equal(encoding.encode(data), IMAGES)
    assert encoding.shape == (3, 4)
    assert encoding.classes == ("3", "7")
    np.testing.assert_array_equal(encoding.encode_target(data), [0, 1])


def test_scale_and_flatten() -> None:
    data = Arrays("a", IMAGES, np.array([3, 7]))
    encoding = Encoding.fit(data, scale=255, flatten=True)
    assert encoding.shape == (12,)
    expected = (IMAGES.reshape(2, 12) / 255).astype(np.float32)
    np.testing.assert_array_equal(encoding.encode(data), expected)


def test_arrays_standardized_on_request_over_many_blocks() -> None:
    x = np.random.default_rng(0).normal(5, 3, (2 * BLOCK_ROWS + 5, 2))
    x[:, 1] = 0.1
    data = Arrays("a", x, x[:, 0])
    encoding = Encoding.fit(data, standardize=True)
    assert x.std(axis=0)[1] > 0, "this many 0.1 should have a rounding error, or the next line proves nothing"
    assert encoding.deviation[1] == 1.0
    encoded = encoding.encode(data)
    np.testing.assert_allclose(encoded[:, 0], (x[:, 0] - x[:, 0].mean()) / x[:, 0].std(), rtol=1e-4, atol=1e-6)
    assert (encoded[:, 1] == 0).all()


def test_one_hot_targets() -> None:
    data = Arrays("a", np.eye(3), np.eye(3)[[2, 0, 2]])
    encoding = Encoding.fit(data)
    assert encoding.classes == ("0", "1", "2")
    np.testing.assert_array_equal(encoding.encode_target(data), [2, 0, 2])
    np.testing.assert_array_equal(encoding.encode_target(Arrays("b", np.eye(3), np.array([0, 1, 2]))), [0, 1, 2])
    with pytest.raises(DataError, match=r"one-hot rows of 3"):
        encoding.encode_target(Arrays("b", np.eye(3), np.ones((3, 3))))


def test_several_outputs() -> None:
    y = np.array([[1.5, 10.0], [2.5, 30.0], [3.5, 80.0]])
    data = Arrays("a", np.eye(3), y)
    encoding = Encoding.fit(data, standardize=True)
    assert encoding.outputs == 2
    np.testing.assert_allclose(encoding.decode(encoding.encode_target(data)), y, rtol=1e-6)
    with pytest.raises(DataError, match=r"y has 1 numbers in each row; the model was trained on 2"):
        encoding.encode_target(Arrays("b", np.eye(3), y[:, 0]))


def test_tables_and_arrays_stand_in_for_each_other() -> None:
    rows = table(IRIS)
    by_name = Encoding.fit(rows, "kind")
    as_array = Arrays("a", np.array([[1.0, 10], [2, 10], [3, 10], [6, 10]]))
    np.testing.assert_array_equal(by_name.encode(as_array), by_name.encode(rows))
    assert not by_name.has_target(as_array)
    by_place = Encoding.fit(Arrays("a", IMAGES, np.array([0, 1])))
    text = ",".join(f"p{i}" for i in range(12)) + "\n" + ",".join(str(i) for i in range(12)) + "\n"
    np.testing.assert_array_equal(by_place.encode(table(text)), IMAGES[:1])
    labelled = replace(by_place, target="p0")
    with pytest.raises(DataError, match=r"11 features in each row; the model was trained on 12 of shape \(3, 4\)"):
        labelled.encode(table(text))


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (np.array([[1, np.nan], [1, 2]]), [0, 1], "a, row 0, feature 1: nan is not a finite number"),
        (np.array([[1, 2], [1e300, 2]]), [0, 1], "a, row 1, feature 0: .* does not fit|too far"),
        (np.eye(2), [0, np.inf], "a: y, row 1: inf is not a finite number"),
        (np.eye(2), [1, 1], "the target is '1' in every row"),
    ],
)
@pytest.mark.parametrize("standardize", [True, False])
def test_bad_arrays(x: np.ndarray, y: list[float], message: str, standardize: bool) -> None:
    data = Arrays("a", x, np.array(y))
    with pytest.raises(DataError, match=message):
        Encoding.fit(data, standardize=standardize).encode(data)


def test_arrays_refusals() -> None:
    data = Arrays("a", np.eye(2), np.array([0, 1]))
    with pytest.raises(DataError, match=r"none to ignore"):
        Encoding.fit(data, ignore=["x"])
    with pytest.raises(DataError, match=r"a: no targets. Store x and y"):
        Encoding.fit(Arrays("a", np.eye(2)))
    with pytest.raises(DataError, match=r"3 features in each row; the model was trained on 2"):
        Encoding.fit(data).encode(Arrays("b", np.eye(3)))
    with pytest.raises(DataError, match=r"y is text; a regression needs numbers"):
        Encoding.fit(Arrays("a", np.eye(2), np.array(["a", "b"])), task="regression")


def test_a_row_far_down_is_named() -> None:
    x = np.zeros((BLOCK_ROWS + 9, 2))
    encoding = Encoding.fit(Arrays("a", x, np.arange(len(x)) % 2))
    x[BLOCK_ROWS + 3, 1] = np.inf
    x[BLOCK_ROWS + 4, 0] = np.nan
    with pytest.raises(DataError, match=f"row {BLOCK_ROWS + 3}, feature 1: inf"):
        encoding.encode(Arrays("a", x))


# --- Decoding and keeping ---------------------------------------------------------------------------------


def test_predictions_that_cannot_be_decoded() -> None:
    encoding = Encoding.fit(table(IRIS), "kind")
    with pytest.raises(DataError, match=r"predictions of shape \(4, 2\): this classification needs \(rows, 3\)"):
        encoding.decode(np.ones((4, 2)))
    with pytest.raises(DataError, match=r"row 1 is not finite"):
        encoding.decode(np.array([[1, 0, 0], [np.nan, 0, 0]]))
    assert encoding.decode(np.empty((0, 3))) == []


@pytest.mark.parametrize(
    "encoding",
    [
        Encoding.fit(table(IRIS), "kind"),
        Encoding.fit(table(HOUSES), "price"),
        Encoding.fit(Arrays("a", IMAGES, np.array([0, 1])), scale=255),
        Encoding.fit(Arrays("a", np.eye(3), np.ones((3, 2)) * [[1], [2], [3]]), standardize=True),
    ],
)
def test_config_survives_json(encoding: Encoding) -> None:
    text = json.dumps(encoding.to_config(), allow_nan=False)
    assert Encoding.from_config(json.loads(text)) == encoding


@pytest.mark.parametrize(
    "change",
    [
        {"mean": [0.0]},
        {"mean": [0.0, float("nan")]},
        {"mean": ["a", "b"]},
        {"deviation": [0.0, 1.0]},
        {"task": "ranking"},
        {"task": "regression"},
        {"classes": []},
        {"target_mean": [1.0]},
        {"shape": [3]},
        {"shape": []},
        {"shape": [2.0]},
        {"shape": 2},
        {"surprise": 1},
    ],
)
def test_damaged_config(change: dict[str, object]) -> None:
    config = Encoding.fit(table(IRIS), "kind").to_config()
    assert Encoding.from_config(config)
    with pytest.raises(DataError, match=r"not an encoding"):
        Encoding.from_config({**config, **change})


@settings(max_examples=60, deadline=None)
@given(
    hnp.arrays(np.float64, st.tuples(st.integers(2, 9), st.integers(1, 4)), elements=st.floats(-1e6, 1e6)),
    st.booleans(),
)
def test_regression_round_trip(y: np.ndarray, standardize: bool) -> None:
    assume((y != y[0]).any())
    data = Arrays("a", np.eye(len(y)), y)
    encoding = Encoding.fit(data, task="regression", standardize=standardize)
    encoded = encoding.encode_target(data)
    assert np.isfinite(encoded).all()
    decoded = np.array(encoding.decode(encoded)).reshape(y.shape)
    np.testing.assert_allclose(decoded, y, rtol=1e-5, atol=1e-6 * np.abs(y).max() + 1e-30)
