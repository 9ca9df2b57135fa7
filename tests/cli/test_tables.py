import csv
import datetime
import io
import json
import math
from decimal import Decimal

import pytest
import typer

from skcap.cli.output import open_writer
from skcap.cli.tables import Table, chunks
from skcap.utils.files import write_text

CSV = 'text,label,id\nplay jazz,music,1\n\n,music,2\nwake me,,3\nstop,alarm\n"two\nlines",alarm,5\n'


@pytest.fixture
def write(tmp_path):
    def write_file(name, content):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(path)

    return write_file


def json_lines(*rows):
    return "".join(json.dumps(row) + "\n" for row in rows)


def test_bad_rows_are_named_by_their_line(write):
    with pytest.raises(ValueError, match=r"3 of 5 rows of .*cannot be used") as error:
        Table(write("data.csv", CSV), text="text", label="label")
    assert str(error.value).splitlines()[1:] == [
        "  line 4: the text is empty",
        "  line 5: the label is missing",
        "  line 6: 2 fields, not 3 as in the header",
        "Repair them, or leave them out with --skip-bad-rows.",
    ]


def test_bad_rows_are_left_out_aloud(write, capsys):
    table = Table(write("data.csv", CSV), text="text", label="label", skip_bad_rows=True)
    assert table.texts_and_labels() == (["play jazz", "two\nlines"], ["music", "alarm"])
    assert table.n_rows == 2
    assert [row.number for row in table.rows()] == [2, 7]
    assert [row.values["id"] for row in table.rows()] == ["1", "5"]
    shown = capsys.readouterr().err
    assert "3 of 5 rows" in shown
    assert "line 6: 2 fields" in shown


def test_a_label_may_be_missing_where_none_is_needed(write):
    content = "text,label\nplay jazz,\n"
    assert Table(write("data.csv", content), text="text").n_rows == 1


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('{"text": "a", ', "broken JSON"),
        pytest.param("[" * 100_000, "broken JSON", id="nested too deeply"),
        ("[1]", "no JSON object"),
        ('{"text": 3, "label": "a"}', "the text is 3, which is not a string"),
        ('{"text": "a", "label": [1]}', r"the label is \[1\], which is neither"),
        ('{"label": "a"}', "the text is empty"),
        ('{"text": "a", "label": null}', "the label is missing"),
        (r'{"text": "\ud83d", "label": "a"}', "not valid UTF-8"),
    ],
)
def test_bad_json_lines(write, line, problem):
    content = json_lines({"text": "fine", "label": 1}) + "\n" + line + "\n"
    with pytest.raises(ValueError, match=rf"1 of 2 rows.*(?s:\n)  line 3: .*{problem}"):
        Table(write("data.jsonl", content), text="text", label="label")


def test_broken_quotes_and_bytes_are_named(write):
    content = b'text,label\nfine,a\n"b"c,a\nmir\xf3n,a\n'
    with pytest.raises(ValueError, match=r"line 3: broken CSV .*\n  line 4: it is not valid UTF-8"):
        Table(write("data.csv", content), text="text", label="label")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("data.csv", b"text,who\nfine,a\nb,Jos\xe9\n"),
        ("data.jsonl", json_lines({"text": "fine"}, {"text": "b", "who": [{"x": "\ud83d"}]})),
    ],
)
def test_columns_that_are_kept_must_be_writable(write, name, content):
    path = write(name, content)
    with pytest.raises(ValueError, match=r"1 of 2 rows.*\n.*its column 'who' is not valid UTF-8"):
        Table(path, text="text")
    with pytest.raises(ValueError, match=r"is not UTF-8: its columns are .*Save it as UTF-8"):
        Table(write("other.csv", b"text,pr\xe9nom\na,b\n"), text="text")


def test_other_columns_may_hold_anything_where_they_are_not_kept(write):
    path = write("data.csv", b"text,label,pr\xe9nom\na,b,Jos\xe9\n")
    assert Table(path, text="text", label="label").n_rows == 1


def test_only_the_first_bad_rows_are_named(write):
    with pytest.raises(ValueError, match="and 10 more"):
        Table(write("data.csv", "text\na\n" + ' \n"" \n' * 15), text="text")


def test_byte_order_mark_and_tabs(write):
    path = write("data.tsv", "\ufefftext\tlabel\nplay, jazz\tmusic\n")
    assert Table(path, text="text", label="label").texts_and_labels() == (["play, jazz"], ["music"])


def test_labels_become_strings(write):
    path = write("data.jsonl", json_lines({"text": "a", "label": 1}, {"text": "b", "label": True}))
    assert Table(path, text="text", label="label").texts_and_labels()[1] == ["1", "True"]


def test_a_missing_column_names_those_that_there_are(write):
    path = write("data.csv", "utterance;intent\na;b\n")
    with pytest.raises(ValueError, match=r"no column 'text'\. Its columns are: 'utterance;intent'"):
        Table(path, text="text")
    path = write("data.jsonl", json_lines({"text": "a", "intent": "b"}))
    with pytest.raises(ValueError, match=r"no column 'label'.*'text', 'intent'.*with --label"):
        Table(path, text="text", label="label")
    with pytest.raises(ValueError, match="several columns named 'text'"):
        Table(write("twice.csv", "text,text\na,b\n"), text="text")


def test_text_and_label_are_two_columns(write):
    with pytest.raises(typer.BadParameter, match="two columns, but both name 'label'"):
        Table(write("data.csv", "text,label\na,b\n"), text="label", label="label")


def test_a_file_in_utf16_is_told_to_be_saved_as_utf8(write):
    path = write("data.csv", "text,label\na,b\n".encode("utf-16"))
    with pytest.raises(ValueError, match=r"is not UTF-8: its columns are .*Save it as UTF-8"):
        Table(path, text="text", label="label")


def test_labels_that_look_alike_are_refused(write):
    path = write("data.csv", "text,label\na,rain\nb, rain\n")
    with pytest.raises(ValueError, match="the labels 'rain' and ' rain' differ by white space"):
        Table(path, text="text", label="label").texts_and_labels()


def test_empty_files(write):
    with pytest.raises(ValueError, match="Its columns are: none"):
        Table(write("data.csv", ""), text="text")
    with pytest.raises(ValueError, match="holds no rows"):
        Table(write("data.csv", "text\n"), text="text")


def test_unknown_formats(write):
    with pytest.raises(typer.BadParameter, match=r"should end in \.csv, .*--input-format"):
        Table(write("data.txt", "text\na\n"), text="text")
    with pytest.raises(typer.BadParameter, match="must be one of csv, jsonl, parquet, tsv"):
        Table(write("data.txt", "text\na\n"), text="text", format="xml")
    assert Table(write("data.txt", "text\na\n"), text="text", format="csv").n_rows == 1


def test_stdin_is_read_twice(monkeypatch):
    class Stdin:
        buffer = io.BytesIO(b"text\na\nb\n")

    monkeypatch.setattr("sys.stdin", Stdin)
    table = Table("-", text="text")
    assert [row.values["text"] for row in table.rows()] == ["a", "b"]
    assert [row.values["text"] for row in table.rows()] == ["a", "b"]


def test_parquet(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    import pyarrow

    path = str(tmp_path / "data.parquet")
    rows = {"text": ["a", None, "c"], "label": [1, 2, 3], "extra": [[1], [2], []]}
    parquet.write_table(pyarrow.table(rows), path)
    with pytest.raises(ValueError, match="  row 2: the text is empty"):
        Table(path, text="text", label="label")
    table = Table(path, text="text", label="label", skip_bad_rows=True)
    assert [row.values["extra"] for row in table.rows()] == [[1], []]
    with open_writer(path, None) as writer:
        writer.write([{**row.values, "new": None} for row in table.rows()])
        writer.write([{"text": "d", "label": 4, "extra": [], "new": "x"}])
    again = Table(path, text="text", label="label")
    assert [row.values["new"] for row in again.rows()] == [None, None, "x"]


def test_parquet_without_pyarrow(write, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(ImportError, match=r"pip install 'skcap\[parquet\]'"):
        Table(write("data.parquet", ""), text="text")


# -- writing --------------------------------------------------------------------------------------


def test_what_is_written_is_read_again(tmp_path):
    rows = [{"text": 'a "b", c\nd', "scores": [1, 2]}, {"text": "é", "scores": None}]
    for name in ("out.csv", "out.tsv", "out.jsonl"):
        path = str(tmp_path / name)
        with open_writer(path, None) as writer:
            for row in rows:
                writer.write([row])
        read = [row.values for row in Table(path, text="text").rows()]
        assert [row["text"] for row in read] == [row["text"] for row in rows]
        scores = [row["scores"] for row in read]
        assert scores == ([[1, 2], None] if name == "out.jsonl" else ["[1, 2]", ""])


def test_a_failure_leaves_the_old_file(tmp_path):
    path = tmp_path / "out.csv"
    path.write_text("old")
    with pytest.raises(TypeError, match="serializable"), open_writer(str(path), "jsonl") as writer:
        writer.write([{"text": "new"}, {"text": {1, 2}}])
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
    write_text(path, "new \ud83d")
    assert path.read_text() == "new \\ud83d"


def test_columns_that_come_late_are_not_dropped(tmp_path):
    rows = [{"text": "a", "extra": 1}, {"text": "b"}, {"text": "c", "late": 1}]
    with open_writer(str(tmp_path / "out.csv"), None) as writer:
        writer.write(rows[:2])
    assert (tmp_path / "out.csv").read_text() == "text,extra\na,1\nb,\n"
    with (
        pytest.raises(ValueError, match="'late' is not in the first one"),
        open_writer(str(tmp_path / "out.csv"), None) as writer,
    ):
        writer.write(rows)
    with open_writer(str(tmp_path / "out.jsonl"), None) as writer:
        writer.write(rows)
    assert (tmp_path / "out.jsonl").read_text() == json_lines(*rows)


def parquet_of(tmp_path, table):
    parquet = pytest.importorskip("pyarrow.parquet")
    parquet.write_table(table, tmp_path / "in.parquet")
    return Table(str(tmp_path / "in.parquet"), text="text")


def written(tmp_path, table, added=None, **more):
    """Write the rows of a table to a Parquet file, in two pieces, and read it."""
    parquet = pytest.importorskip("pyarrow.parquet")
    path = str(tmp_path / "out.parquet")
    with open_writer(path, None, table=table, added=added or {}) as writer:
        for rows in chunks(table.rows(), 2):
            writer.write([{**row.values, **more} for row in rows])
    return parquet.read_table(path)


def test_what_comes_late_in_json_lines_keeps_its_value_in_parquet(tmp_path, write):
    rows = [
        {"text": "a", "x": 1, "deep": {"one": 1}, "empty": None},
        {"text": "b", "x": 2, "deep": {"one": 2}, "empty": None},
        {"text": "c", "x": 2.75, "deep": {"one": 1, "two": "z"}, "empty": None, "late": [3]},
    ]
    table = Table(write("in.jsonl", json_lines(*rows)), text="text")
    read = written(tmp_path, table, {"scores": list[float]}, scores=[None]).to_pylist()
    assert [row["x"] for row in read] == [1.0, 2.0, 2.75]
    assert [row["deep"]["two"] for row in read] == [None, None, "z"]
    assert [row["late"] for row in read] == [None, None, [3]]
    assert read[0]["scores"] == [None]


def test_types_of_a_parquet_file_stay(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    columns = {
        "text": pyarrow.array(["a", "b", "c"], pyarrow.large_string()),
        "price": pyarrow.array([None, None, Decimal("1.50")], pyarrow.decimal128(9, 2)),
        "small": pyarrow.array([1, 2, None], pyarrow.int8()),
        "at": pyarrow.array([None, None, 5], pyarrow.timestamp("ns", tz="UTC")),
        "kind": pyarrow.array(["x", "y", "x"]).dictionary_encode(),
    }
    table = pyarrow.table(columns)
    read = written(tmp_path, parquet_of(tmp_path, table))
    assert read.schema.equals(table.schema)
    assert read.to_pylist() == table.to_pylist()


def test_values_of_parquet_files_have_a_form_in_json_and_csv(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    moment = datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.UTC)
    columns = {"text": "a", "at": moment, "price": Decimal("1.50"), "raw": b"\x00", "no": math.inf}
    table = parquet_of(tmp_path, pyarrow.Table.from_pylist([columns]))
    for name in ("out.jsonl", "out.csv"):
        with open_writer(str(tmp_path / name), None, table=table) as writer:
            writer.write([row.values for row in table.rows()])
    (line,) = (tmp_path / "out.jsonl").read_text().splitlines()
    plain = {"at": "2026-01-02T03:04:05+00:00", "price": "1.50", "raw": "AA==", "no": None}
    assert json.loads(line) == {"text": "a", **plain}
    assert f"a,{plain['at']},1.50,AA==,inf" in (tmp_path / "out.csv").read_text()


@pytest.mark.parametrize("name", ["out.csv", "out.tsv"])
def test_line_breaks_of_all_kinds_come_back(tmp_path, name):
    rows = [{"text": f"play{end}jazz", "id": "1"} for end in ("\r", "\n", "\r\n")]
    path = str(tmp_path / name)
    with open_writer(path, None) as writer:
        writer.write(rows)
    assert [row.values for row in Table(path, text="text").rows()] == rows


def test_json_has_no_numbers_that_are_none(tmp_path):
    row = {"text": "a", "x": math.nan, "deep": [1, {"y": [math.inf, math.nan]}]}
    for name in ("out.jsonl", "out.csv"):
        with open_writer(str(tmp_path / name), None) as writer:
            writer.write([row])
    (line,) = (tmp_path / "out.jsonl").read_text().splitlines()
    assert line == '{"text": "a", "x": null, "deep": [1, {"y": [null, null]}]}'
    (cells,) = csv.DictReader((tmp_path / "out.csv").read_text().splitlines())
    assert cells["deep"] == '[1, {"y": [null, null]}]'


def test_columns_of_mixed_kinds_are_refused_before_the_work(tmp_path, write):
    pytest.importorskip("pyarrow")
    for value in ("x", 2**70, {"y": 1}):
        rows = [{"text": "a", "id": 1}, {"text": "b", "id": value}]
        table = Table(write("in.jsonl", json_lines(*rows)), text="text")
        with (
            pytest.raises(ValueError, match=r"The column 'id' of .* Write JSON lines instead"),
            open_writer(str(tmp_path / "out.parquet"), None, table=table),
        ):
            pytest.fail("the work has begun")


def test_all_columns_of_json_lines_go_to_csv(tmp_path, write):
    table = Table(
        write("in.jsonl", json_lines({"text": "a"}, {"text": "b", "late": 1})), text="text"
    )
    with open_writer(str(tmp_path / "out.csv"), None, table=table, added={"p": float}) as writer:
        writer.write([{**row.values, "p": 0.5} for row in table.rows()])
    assert (tmp_path / "out.csv").read_text() == "text,late,p\na,,0.5\nb,1,0.5\n"


def test_a_table_without_rows_is_written(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    for name in ("out.parquet", "out.csv", "out.jsonl"):
        with open_writer(str(tmp_path / name), None) as writer:
            writer.start(["word", "label"])
            writer.write([])
    table = parquet.read_table(tmp_path / "out.parquet")
    assert (table.num_rows, table.column_names) == (0, ["word", "label"])
    assert (tmp_path / "out.csv").read_text() == "word,label\n"
    assert (tmp_path / "out.jsonl").read_text() == ""


def test_a_stray_quote_is_not_skipped_with_all_that_it_swallows(write):
    rows = [f"text {n},a" for n in range(20)]
    rows[3] = '"urgent: text,a'
    path = write("data.csv", "text,label\n" + "\n".join(rows) + "\n")
    with pytest.raises(
        ValueError, match=r"in line 5 begins a text that goes on to line 21, .*apart"
    ):
        Table(path, text="text", label="label", skip_bad_rows=True)
    rows[3] = 'a "stray" one,b,"c" d'  # within its line
    path = write("data.csv", "text,label\n" + "\n".join(rows) + "\n")
    assert Table(path, text="text", label="label", skip_bad_rows=True).n_rows == 19


def test_the_first_json_line_need_not_have_all_columns(write, capsys):
    lines = json_lines({"label": "a"}, {"text": "b", "label": "c"})
    table = Table(write("data.jsonl", lines), text="text", label="label", skip_bad_rows=True)
    assert table.texts_and_labels() == (["b"], ["c"])
    assert "line 1: the text is empty" in capsys.readouterr().err
    with pytest.raises(ValueError, match="line 1: no JSON object"):
        Table(write("data.jsonl", "[1]\n"), text="text")


def test_long_texts_are_no_broken_csv(write):
    long = "word " * 50_000
    (row,) = Table(write("data.csv", f"text\n{long}\n"), text="text").rows()
    assert row.values["text"] == long


def test_parquet_does_not_go_to_stdout():
    with pytest.raises(typer.BadParameter, match="name a file"), open_writer("-", "parquet"):
        pass


def test_chunks():
    assert list(chunks(iter("abcde"), 2)) == [["a", "b"], ["c", "d"], ["e"]]
