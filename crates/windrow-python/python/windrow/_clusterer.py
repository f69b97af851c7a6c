"""``Clusterer``: whole tables in, their clusters out, row by row."""

from __future__ import annotations

import json
import os
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc

from windrow._errors import InvalidError, MachineError
from windrow._windrow import Batch, Model, Prepared, Preparer, settings_json

#: Rows that are prepared and learnt at a time; how rows are cut changes no answer.
BATCH_ROWS = 20_000


_COLUMNS = ("creation_time", "id", "url", "title", "keywords", "description")


class Clusterer:
    """Learns pages in the order in which they come, and says for each where it belongs.

    >>> import pyarrow as pa
    >>> from windrow import Clusterer
    >>> pages = pa.table({"title": ["red shoes on sale", "red shoes, blue shoes", "vote on the budget", None]})
    >>> clusterer = Clusterer(clusters=10)
    >>> learnt = clusterer.learn_many(pages)
    >>> learnt.column_names
    ['cluster', 'slot', 'micro_cluster', 'novel', 'score', 'label', 'reject']
    >>> learnt["reject"].to_pylist()
    [None, None, None, 'empty_page']
    >>> clusterer.assign(pa.table({"title": ["shoes on sale"]}))["cluster"].to_pylist()
    [0]
    >>> clusterer.explain({"title": "vote on the new budget"})["winner"]["parts"][0]["kind"]
    'word'

    Tables are those of pandas, Polars or Arrow, or anything with ``__arrow_c_stream__``. They have any of the columns creation_time, id,
    url, title, keywords and description; one of the last four is needed. What comes back is of the kind that was given, with one row for
    each row: cluster, slot, micro_cluster, novel, score, label, and reject, which is the reason where a row is no page and null
    elsewhere.

    ``settings`` is the text of a settings file (TOML) with the engine's ``[model]``, ``[clean]`` and ``[features]``; ``clusters`` and
    ``seed`` are for who needs no more than that.
    """

    def __init__(self, *, clusters: int | Literal["auto"] | None = None, seed: int | None = None, settings: str = "") -> None:
        given = {"clusters": clusters, "seed": seed}
        said = {name: json.dumps(value) if isinstance(value, str) else int(value) for name, value in given.items() if value is not None}
        short = [f"{name} = {value}" for name, value in said.items()]
        if short and settings:
            raise InvalidError("clusters and seed are given twice over", "E-SETTINGS", "write them into `settings`")
        self._settings = "\n".join(["[model]", *short]) if short else settings
        self._model = learning(Model(self._settings))
        self._preparer = Preparer(self._settings)
        self._rows = 0

    @property
    def model(self) -> Model:
        """The model: its summary, lineage, names of clusters."""
        return self._model

    def learn_many(self, table: Any) -> Any:
        """Learns the rows in their order, and says what was decided for each when it came."""
        decided = []
        for batch in _batches(table):
            prepared = self._prepare(batch, self._rows)
            decided.append(aligned(prepared, self._rows, self._model.learn(prepared)))
            self._rows += batch.num_rows
        return _as_given(table, decided)

    def assign(self, table: Any) -> Any:
        """Says where the rows belong among what is alive, and learns nothing.

        ``novel`` says that nothing alive explains a page; its cluster is then that of the most similar micro-cluster, if any shares a term.
        """
        placed = []
        for batch in _batches(table):
            prepared = self._prepare(batch, 0)
            placed.append(aligned(prepared, 0, self._model.assign(prepared)))
        return _as_given(table, placed)

    def explain(self, row: dict[str, Any]) -> dict[str, Any]:
        """Why the model, as it stands, would put a page where it would: term by term, with the runner-up."""
        ours = {name: value for name, value in row.items() if name in _COLUMNS}
        prepared = self._prepare(pa.RecordBatch.from_pylist([ours or row]), 0)
        if prepared.n_pages == 0:
            reason = pa.record_batch(prepared.rejects())["reason"][0].as_py()
            raise InvalidError(f"the row is no page: {reason}", "E-INPUT-ROW", "mend the row")
        return self._model.explain(prepared, 0)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the model, whole or not at all. The engine reads the same bytes."""
        path = os.fspath(path)
        aside = f"{path}.tmp"
        try:
            with open(aside, "wb") as file:
                file.write(self._model.snapshot())
                file.flush()
                os.fsync(file.fileno())
            os.replace(aside, path)
        except OSError as error:
            raise MachineError(f"cannot write {path}: {error}", "E-WRITE", "look at the folder and its disk") from error

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, settings: str = "") -> Clusterer:
        """The clusterer whose model was saved, by this class or by the engine.

        A model knows its own settings; ``settings`` is for ``[clean]`` and ``[features]``, which are not the model's: give those that it
        was made with. A ``[model]`` that is not the model's is refused.
        """
        try:
            with open(path, "rb") as file:
                snapshot = file.read()
        except OSError as error:
            raise MachineError(f"cannot read {path}: {error}", "E-IO", "look at the path and its permissions") from error
        loaded = cls(settings=settings)
        asked, loaded._model = loaded._model.settings, learning(Model.restore(snapshot))
        if asked not in (Model().settings, loaded._model.settings):
            raise InvalidError(
                f"{os.fspath(path)} was made with other settings:\n{loaded._model.settings}",
                "E-SETTINGS-STATE",
                "leave [model] out, or give what stands there",
            )
        if loaded._model.position == 0:
            # Of a model that saw nothing nothing is known, not even that it is watched.
            loaded._model.watch(json.loads(settings_json(settings))["watch"]["false_alarms"])
        loaded._rows = loaded._model.position
        return loaded

    def _prepare(self, batch: pa.RecordBatch, first: int) -> Prepared:
        return self._preparer.prepare(with_origins(batch, 0, first))

    def __repr__(self) -> str:
        return f"Clusterer({self._model.position} pages learnt)"


def learning(model: Model) -> Model:
    """The model, if its answers do not depend on how rows are cut."""
    if json.loads(settings_json(model.settings))["model"]["kind"] == "original":
        raise InvalidError(
            "the model `original` is fitted anew for each block of rows, and the engine alone knows where those end",
            "E-SETTINGS",
            "use `windrow run` for it, or another model.kind here",
        )
    return model


def with_origins(batch: pa.RecordBatch, source: int, first: int) -> pa.RecordBatch:
    """The batch with `source` and `offset`: its rows are those from `first` on of that source."""
    columns = {name: batch.column(at) for at, name in enumerate(batch.schema.names)}
    columns["source"] = pa.repeat(pa.scalar(source, pa.int32()), batch.num_rows)
    columns["offset"] = pa.array(range(first, first + batch.num_rows), pa.int64())
    return pa.RecordBatch.from_arrays(list(columns.values()), names=list(columns))


def aligned(prepared: Prepared, first: int, answers: Batch) -> pa.RecordBatch:
    """One row a row of what was prepared, its pages with their answers, its rejects with their reason."""
    answers = pa.record_batch(answers)
    n_rows = prepared.n_rows
    if prepared.n_pages == n_rows:
        return _with(answers, pa.nulls(n_rows, pa.string()))
    pages = pa.record_batch(prepared.origins()).column("offset")
    at = pc.index_in(pa.array(range(first, first + n_rows), pa.int64()), value_set=pages)
    reasons = pa.record_batch(prepared.rejects()).column("reason")
    answers = pa.RecordBatch.from_arrays([column.take(at) for column in answers.columns], names=answers.schema.names)
    return _with(answers, pc.replace_with_mask(pa.nulls(n_rows, pa.string()), pc.is_null(at), reasons))


def _with(answers: pa.RecordBatch, reject: pa.Array) -> pa.RecordBatch:
    # Whether a column may be null must not depend on what is in it.
    names = [*answers.schema.names, "reject"]
    return pa.RecordBatch.from_arrays([*answers.columns, reject], names=names)


def _kind(table: Any) -> str:
    return type(table).__module__.partition(".")[0]


def _batches(table: Any) -> list[pa.RecordBatch]:
    """The rows of any table, in pieces."""
    if isinstance(table, pa.RecordBatch):
        table = pa.Table.from_batches([table])
    elif not isinstance(table, pa.Table):
        if not hasattr(table, "columns") and not hasattr(table, "__arrow_c_stream__"):
            raise InvalidError(f"{type(table).__name__} is no table", "E-INPUT-TYPE", "give a pandas, Polars or Arrow table")
        try:
            table = pa.Table.from_pandas(table, preserve_index=False) if _kind(table) == "pandas" else pa.table(table)
        except (pa.ArrowException, TypeError) as error:
            raise InvalidError(f"the table cannot be read as Arrow: {error}", "E-INPUT-TYPE", "cast its columns to text") from error
    table = _ours(table)
    return table.to_batches(max_chunksize=BATCH_ROWS) or [pa.RecordBatch.from_pylist([], schema=table.schema)]


def _ours(table: pa.Table) -> pa.Table:
    """The columns that are ours; a table's own `raw` or `source` is not what the native module means by them. Without any, it says what is wanted."""
    names = [name for name in table.column_names if name in _COLUMNS]
    return table.select(names) if names else table


def _as_given(table: Any, batches: list[pa.RecordBatch]) -> Any:
    """The answers as a table of the kind that was given."""
    answers = pa.Table.from_batches(batches)
    if _kind(table) == "polars":
        import polars

        return polars.from_arrow(answers)
    if _kind(table) == "pandas":
        import pandas

        nullable = {pa.int32(): pandas.Int32Dtype(), pa.int64(): pandas.Int64Dtype(), pa.bool_(): pandas.BooleanDtype()}
        return answers.to_pandas(types_mapper=nullable.get).set_axis(table.index, axis=0)
    return answers
