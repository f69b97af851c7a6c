"""The native half of the package. Tables come in as anything that speaks Arrow, and go out as `Batch`, which any Arrow library takes."""

from __future__ import annotations

from typing import Any, Protocol, Sequence, Union, final

__all__ = ["__version__", "Batch", "Model", "Prepared", "Preparer", "hash64", "settings_json", "settings_toml"]
__version__: str

class _ArrowArray(Protocol):
    def __arrow_c_array__(self, requested_schema: Any = None) -> Any: ...

class _ArrowStream(Protocol):
    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any: ...

_Table = Union[_ArrowArray, _ArrowStream]

@final
class Batch:
    """Rows as Arrow columns: `pyarrow.record_batch(batch)`, `polars.DataFrame(batch)`."""

    def __len__(self) -> int: ...
    @property
    def column_names(self) -> list[str]: ...
    def __arrow_c_schema__(self) -> Any: ...
    def __arrow_c_array__(self, requested_schema: Any = None) -> Any: ...
    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any: ...

@final
class Preparer:
    """Makes pages and rejects of rows, by the sections `[clean]` and `[features]` of the settings. Stateless: one for each thread."""

    def __new__(cls, settings: str = "", keep: Sequence[str] = ...) -> Preparer: ...
    def prepare(self, batch: _Table) -> Prepared:
        """Cleans and featurizes a batch.

        It has `source` (int32) and `offset` (int64), which together are the record id, and any of creation_time, id, url, title, keywords
        and description, as text, bytes, numbers or times. Bytes in a column `raw` are what rejects keep; without it they keep their
        columns as a line of CSV. Other columns are not looked at, but those named in `keep`, which are carried along.
        """

@final
class Prepared:
    """A batch after cleaning and featurizing."""

    def to_bytes(self) -> bytes: ...
    @staticmethod
    def from_bytes(bytes: bytes, keep: Sequence[str] = ...) -> Prepared: ...
    def with_source(self, source: int) -> Prepared:
        """The same batch as one of the source with this ordinal: who prepares need not know how many sources there are."""
    @property
    def n_rows(self) -> int: ...
    @property
    def n_pages(self) -> int: ...
    def pages(self) -> Batch:
        """record_id, creation_time (timestamp[us, UTC]), id, url, title, keywords, description, domain, kept columns: one row a page."""
    def origins(self) -> Batch:
        """source and offset: one row a page."""
    def rejects(self) -> Batch:
        """record_id, reason, raw: one row a reject."""

@final
class Model:
    """A model that learns pages in one order. The same pages in the same order give the same answers and bytes, here and in the engine."""

    def __new__(cls, settings: str = "", keep: Sequence[str] = ...) -> Model: ...
    @staticmethod
    def restore(bytes: bytes) -> Model: ...
    def watch(self, false_alarms: float, start: int = 0) -> None: ...
    def snapshot(self) -> bytes: ...
    def learn(self, prepared: Prepared) -> Batch:
        """cluster (int32), slot (int32), micro_cluster (int64), novel (bool), score (double), label (text): one row a page."""
    def assign(self, prepared: Prepared) -> Batch:
        """The same columns, without learning: every page goes where it belongs among what is alive.

        `novel` says that learning the page would open a micro-cluster. micro_cluster is null where none shares a term with the page; all
        columns are null while nothing was learnt.
        """
    def sample(self, prepared: Prepared, position: int, rate: float) -> tuple[bytes, int]:
        """What this model, which stays as it is, makes of a batch whose first page has this place in the order: bytes for `learn_sample` of
        the model that it is a copy of, and the pages that must be learnt there: all that it does not explain, and `rate` of the others."""
    def learn_sample(self, sample: bytes, source: int) -> Batch:
        """Learns what copies of this model made of a batch, and counts the rest of it: the columns of `learn`, one row a page."""
    def settle(self) -> None:
        """Ends a batch that was learnt from samples, as `learn`, `snapshot` and edits do too."""
    def explain(self, prepared: Prepared, row: int) -> dict[str, Any]:
        """winner, runner_up (cluster, label, micro_cluster, score, parts), novel, threshold."""
    def lineage(self) -> Batch:
        """position, event, cluster and the columns of the engine's lineage: what the last `learn`, `rename`, `pin` or `edit` did."""
    def rename(self, cluster: int, label: str) -> None: ...
    def pin(self, cluster: int, pinned: bool = True) -> None: ...
    def edit(self, edit: str) -> None:
        """Does an edit as the engine's log has it: JSON such as `{"edit": "merge", "cluster": 7, "into": 3}`."""
    @staticmethod
    def wrong_edit(edit: str) -> Union[str, None]:
        """What is wrong with the form of an edit; None where it can be read."""
    def summary(self) -> dict[str, Any]:
        """pages, terms, micro_clusters, and clusters (cluster, slot, label, pages, weight, pinned, micro_clusters)."""
    @property
    def position(self) -> int: ...
    @property
    def settings(self) -> str: ...
    @property
    def keep(self) -> list[str]: ...

def hash64(bytes: bytes) -> int:
    """XXH3, 64 bits: what manifests name models and files by."""

def settings_json(settings: str) -> str:
    """Checked settings as the manifest of a state has them: `model`, `fields` and `clean`, every value in it."""

def settings_toml(kept: str) -> str:
    """What `settings_json` gave, as settings again."""
