"""Other programs read the folder as it is."""

import importlib.util

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from factories import messages
from needs import need
from store.kept import add, attacks_of

from analyzer.store import Store
from analyzer.tables import MESSAGES


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Return a store of three days, one of which has no status and no attack."""
    store = Store.create(tmp_path_factory.mktemp("programs") / "store")
    for day in (20, 21, 22):
        start = f"2026-11-{day}T09:00Z"
        row = {"attack": "a", "campaign": "c", "source": "192.0.2.1", "start": pd.Timestamp(start), "numbers": ["44"]}
        table = messages(4, start=start, status=200 if day > 20 else None, user_agent=["a", "b", "b", None])
        add(store, day, table, attacks=attacks_of({**row, "evidence": [1, 2]}) if day > 20 else None)
    return store


def test_pandas(store):
    table = pd.read_parquet(store.folder / "messages")

    assert len(table) == 12
    assert set(MESSAGES.columns) <= set(table)
    assert sorted(map(str, table["day"].unique())) == ["2026-11-20", "2026-11-21", "2026-11-22"]
    assert table["time"].dtype == "datetime64[us, UTC]"
    few = pd.read_parquet(store.folder / "messages", columns=["source"], filters=[("day", ">=", "2026-11-21")])
    assert len(few) == 8


def test_duckdb(store):

    need(importlib.util.find_spec("duckdb"), "the Python package duckdb")
    import duckdb

    told = (
        duckdb.read_parquet(f"{store.folder}/messages/*/*.parquet", hive_partitioning=True)
        .filter("day >= '2026-11-21'")
        .aggregate("day, count(*), min(time) AT TIME ZONE 'UTC', sum(status)", "day")
        .order("day")
        .fetchall()
    )
    assert [(str(day), count, total) for day, count, _, total in told] == [
        ("2026-11-21", 4, 800),
        ("2026-11-22", 4, 800),
    ]
    assert [time.hour for _, _, time, _ in told] == [9, 9]
    found = duckdb.read_parquet(f"{store.folder}/attacks/*/*.parquet")
    assert found.project("campaign, unnest(numbers), evidence").fetchall() == [("c", "44", [1, 2])] * 2


def test_no_file_has_what_spark_cannot_read(store):
    """Spark reads times of micro-, not of nanoseconds, and no unsigned numbers; files of a table have one schema."""
    for folder in store.folder.glob("*/day=*"):
        for path in folder.glob("*.parquet"):
            schema = pq.ParquetFile(path).schema
            for number in range(len(schema)):
                column = schema.column(number)
                assert column.physical_type in {"INT64", "INT32", "DOUBLE", "BOOLEAN", "BYTE_ARRAY"}
                assert "nanoseconds" not in str(column.logical_type)
                assert "isSigned=false" not in str(column.logical_type)
    for table in ("messages", "attacks", "fates", "captures"):
        schemas = {str(columns_of(path)) for path in store.folder.glob(f"{table}/*/*.parquet")}
        assert len(schemas) == 1


def columns_of(path):
    """Return the columns of a file without the width of their dictionaries' codes."""
    fields = pq.read_schema(path)
    return [
        (field.name, field.type.value_type if pa.types.is_dictionary(field.type) else field.type) for field in fields
    ]
