"""An estimator and its model in the manner of ``pyspark.ml``.

Rows are prepared where they lie; the driver learns them in one order, for that is what an answer depends on; and the executors assign
with the model that came of it. Only Arrow passes between Spark and Python.
"""

from __future__ import annotations

from typing import Any, Iterator

import pyarrow as pa
from pyspark import TaskContext, keyword_only
from pyspark.ml import Estimator, Model
from pyspark.ml.param import Param, Params, TypeConverters
from pyspark.ml.util import DefaultParamsReadable, DefaultParamsReader, DefaultParamsWritable, DefaultParamsWriter, MLReader, MLWriter
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import BinaryType, BooleanType, DoubleType, IntegerType, LongType, StringType, StructField, StructType

import windrow
from windrow._clusterer import aligned, learning, with_origins
from windrow._errors import InvalidError

#: The six columns, each with the parameter that says what it is called here.
COLUMNS = {
    "creation_time": "creationTimeCol",
    "id": "idCol",
    "url": "urlCol",
    "title": "titleCol",
    "keywords": "keywordsCol",
    "description": "descriptionCol",
}
#: What is added: the parameter with its name, what it is in an answer, its type.
OUTPUTS = [
    ("clusterCol", "cluster", IntegerType()),
    ("microClusterCol", "micro_cluster", LongType()),
    ("slotCol", "slot", IntegerType()),
    ("scoreCol", "score", DoubleType()),
    ("novelCol", "novel", BooleanType()),
    ("labelCol", "label", StringType()),
    ("rejectCol", "reject", StringType()),
]


def _text(name: str, doc: str) -> Param[str]:
    return Param(Params._dummy(), name, doc, typeConverter=TypeConverters.toString)


class _Columns(Params):
    """Parameters that estimator and model share: what columns are called, and the settings that make pages of rows."""

    creationTimeCol = _text("creationTimeCol", "column with the time of a page; may be missing")
    idCol = _text("idCol", "column with the id of a page; may be missing")
    urlCol = _text("urlCol", "column with the address of a page; may be missing")
    titleCol = _text("titleCol", "column with the title; may be missing")
    keywordsCol = _text("keywordsCol", "column with the keywords; may be missing")
    descriptionCol = _text("descriptionCol", "column with the description; may be missing")
    clusterCol = _text("clusterCol", "column that is added: the cluster; null where the row is no page")
    microClusterCol = _text("microClusterCol", "column that is added: the most similar micro-cluster; null where none shares a term")
    slotCol = _text("slotCol", "column that is added, if named: the slot of the cluster, 0 to k-1")
    scoreCol = _text("scoreCol", "column that is added, if named: likeness to the micro-cluster, 0 to 1")
    novelCol = _text("novelCol", "column that is added, if named: whether nothing alive explains the page")
    labelCol = _text("labelCol", "column that is added, if named: what the cluster is called")
    rejectCol = _text("rejectCol", "column that is added, if named: why a row is no page; null for pages")
    settings = _text("settings", "settings file as text (TOML): its [model], [clean] and [features]")

    def _set_defaults(self) -> None:
        self._setDefault(**{param: column for column, param in COLUMNS.items()}, settings="")
        self._setDefault(clusterCol="cluster", microClusterCol="micro_cluster")
        self._setDefault(slotCol="", scoreCol="", novelCol="", labelCol="", rejectCol="")

    def _value(self, name: str) -> Any:
        return self.getOrDefault(self.getParam(name))

    def _inputs(self, frame: DataFrame) -> dict[str, str]:
        """The columns that there are: as they are called here, and as Windrow calls them."""
        if not hasattr(frame, "_jdf"):
            raise InvalidError("Spark Connect is not supported", "E-SPARK-CONNECT", "use a session of the driver's own, as spark-submit makes")
        names = {self._value(param): column for column, param in COLUMNS.items()}
        found = {name: names[name] for name in frame.columns if name in names}
        unknown = [name for param, name in ((p, self._value(p)) for p in COLUMNS.values()) if name not in found and self._is_named(param)]
        if unknown:
            raise InvalidError(f"there is no column {', '.join(unknown)}", "E-INPUT-COLUMNS", f"there are {', '.join(frame.columns)}")
        return found

    def _is_named(self, param: str) -> bool:
        return self.isSet(self.getParam(param))


class WindrowClusterer(Estimator, _Columns, DefaultParamsReadable, DefaultParamsWritable):
    """Learns pages and gives the model that assigns them.

    ``WindrowClusterer(k=50).fit(frame).transform(frame)`` adds ``cluster`` and ``micro_cluster`` to the six columns creation_time, id, url,
    title, keywords and description, or as many of them as there are.

    Rows are learnt on the driver, in the order in which they lie: partition by partition, row by row. After a shuffle Spark promises no such
    order: name ``orderCol`` then, and rows are learnt in the order of that column, ties in that of the six. The same rows in the same order
    give the same model, byte for byte, as in the engine.

    ``transform`` assigns with the model as it stood at the end, and learns nothing: that is not the decision that a page got when it was
    learnt, which ``windrow run`` and the streaming job write down.
    """

    __module__ = "windrow.spark"  # what saved pipelines name

    k = Param(Params._dummy(), "k", "most clusters alive at a time", typeConverter=TypeConverters.toInt)
    seed = Param(Params._dummy(), "seed", "seed of everything that is drawn by chance", typeConverter=TypeConverters.toInt)
    orderCol = _text("orderCol", "column by which rows are ordered before they are learnt; empty for as they lie")

    @keyword_only
    def __init__(self, **params: Any) -> None:
        super().__init__()
        self._set_defaults()
        self._setDefault(orderCol="")
        self._set(**params)

    def setParams(self, **params: Any) -> WindrowClusterer:
        """Sets any of the parameters by their names."""
        return self._set(**params)

    def _settings(self) -> str:
        short = [f"{name} = {self._value(param)}" for param, name in (("k", "clusters"), ("seed", "seed")) if self._is_named(param)]
        if short and self._value("settings"):
            raise InvalidError("k or seed is given beside settings", "E-SETTINGS", "write `clusters` and `seed` into `settings`")
        return "\n".join(["[model]", *short]) if short else self._value("settings")

    def _fit(self, dataset: DataFrame) -> WindrowClustererModel:
        settings, names = self._settings(), self._inputs(dataset)
        model = learning(windrow.Model(settings))
        order = self._value("orderCol")
        rows = dataset.orderBy([_quoted(dataset, name) for name in (order, *names)]) if order else dataset
        named = rows.select([_quoted(rows, name).alias(column) for name, column in names.items()])
        prepared = named.mapInArrow(_prepare(settings), "batch binary")
        for row in prepared.toLocalIterator():
            model.learn(windrow.Prepared.from_bytes(bytes(row["batch"])))
        return self._copyValues(WindrowClustererModel(model.snapshot())._set(settings=settings))


class WindrowClustererModel(Model, _Columns, DefaultParamsReadable, DefaultParamsWritable):
    """A model that was learnt: assigns pages, and learns nothing."""

    __module__ = "windrow.spark"  # what saved pipelines name

    def __init__(self, snapshot: bytes = b"") -> None:
        super().__init__()
        self._set_defaults()
        self._snapshot = snapshot

    @property
    def snapshot(self) -> bytes:
        """The model as bytes: what `windrow.Model.restore` and the engine read."""
        return self._snapshot

    def summary(self) -> dict[str, Any]:
        """What is alive: pages learnt, and every cluster with its label."""
        return windrow.Model.restore(self._snapshot).summary()

    def _transform(self, dataset: DataFrame) -> DataFrame:
        names = self._inputs(dataset)
        added = [(self._value(param), answer, kind) for param, answer, kind in OUTPUTS if self._value(param)]
        taken = [name for name, *_ in added if name in dataset.columns]
        if taken:
            raise InvalidError(f"there is a column {', '.join(taken)} already", "E-INPUT-COLUMNS", "name the added ones otherwise, or drop it")
        schema = StructType([*dataset.schema.fields, *(StructField(name, kind) for name, _, kind in added)])
        model = dataset.sparkSession.sparkContext.broadcast(self._snapshot)
        places = {column: dataset.columns.index(name) for name, column in names.items()}
        assign = _assign(model, self._value("settings"), places, [answer for _, answer, _ in added], schema.names)
        # Spark takes no names with dots in them here; the schema gives every column its own back.
        return dataset.toDF(*(f"column{place}" for place in range(len(dataset.columns)))).mapInArrow(assign, schema)

    def write(self) -> MLWriter:
        return _Writer(self)

    @classmethod
    def read(cls) -> MLReader:
        return _Reader(cls)


class _Writer(MLWriter):
    """Parameters as pyspark.ml writes them, and the model beside them as Parquet: any file system that Spark writes to will do."""

    def __init__(self, instance: WindrowClustererModel) -> None:
        super().__init__()
        self._instance = instance

    def saveImpl(self, path: str) -> None:
        DefaultParamsWriter.saveMetadata(self._instance, path, self.sc)
        snapshot = bytearray(self._instance.snapshot)
        _session().createDataFrame([(snapshot,)], _MODEL).coalesce(1).write.parquet(f"{path}/model")


class _Reader(MLReader):
    def __init__(self, cls: type[WindrowClustererModel]) -> None:
        super().__init__()
        self._cls = cls

    def load(self, path: str) -> WindrowClustererModel:
        metadata = DefaultParamsReader.loadMetadata(path, self.sc, f"{self._cls.__module__}.{self._cls.__name__}")
        snapshot = _session().read.schema(_MODEL).parquet(f"{path}/model").first()
        if snapshot is None:
            raise windrow.DataError(f"there is no model under {path}", "E-STATE-DAMAGED", "save it again")
        loaded = self._cls(bytes(snapshot["snapshot"]))
        windrow.Model.restore(loaded.snapshot)
        loaded._resetUid(metadata["uid"])
        DefaultParamsReader.getAndSetParams(loaded, metadata)
        return loaded


_MODEL = StructType([StructField("snapshot", BinaryType(), False)])


def _session() -> SparkSession:
    return SparkSession.builder.getOrCreate()


def _quoted(frame: DataFrame, name: str) -> Any:
    return frame["`" + name.replace("`", "``") + "`"]


def _prepare(settings: str) -> Any:
    """What an executor does before learning: each batch of rows becomes the bytes of a prepared one."""

    def prepare(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        preparer, source, first = windrow.Preparer(settings), TaskContext.get().partitionId(), 0
        for batch in batches:
            prepared = preparer.prepare(with_origins(batch, source, first))
            first += batch.num_rows
            yield pa.RecordBatch.from_arrays([pa.array([prepared.to_bytes()], pa.binary())], names=["batch"])

    return prepare


def _assign(model: Any, settings: str, places: dict[str, int], wanted: list[str], names: list[str]) -> Any:
    """What an executor does with a model: each batch of rows gets the wanted columns behind its own, all with these names."""

    def assign(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        restored, preparer = windrow.Model.restore(model.value), windrow.Preparer(settings)
        for batch in batches:
            rows = pa.RecordBatch.from_arrays([batch.column(place) for place in places.values()], names=list(places))
            prepared = preparer.prepare(with_origins(rows, 0, 0))
            answers = aligned(prepared, 0, restored.assign(prepared))
            more = [answers.column(answers.schema.names.index(answer)) for answer in wanted]
            yield pa.RecordBatch.from_arrays([*batch.columns, *more], names=names)

    return assign
