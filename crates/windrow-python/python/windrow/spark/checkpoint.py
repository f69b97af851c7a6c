"""What lies beside Spark's own files in the checkpoint, through Spark's own file system layer, so that it may lie wherever Spark's may.

```
CHECKPOINT/windrow/pipeline.json        whose checkpoint it is
CHECKPOINT/windrow/<batch>/batch.json   the commit that the batch became; of a topic, where the batch ends and where the last row before that is
                          /model.bin    the model after it
                          /lineage.parquet   what happened in it
```

The commit itself is the manifest's rename in the state folder. Here it can be read which batch became which commit, and the model lies here
a second time. The last three batches are kept.
"""

from __future__ import annotations

import json
from typing import Dict, List, Optional, Tuple

KEPT = 3


class Checkpoint:
    """Files under a checkpoint folder of Spark's."""

    def __init__(self, spark, path: str) -> None:
        self._jvm = spark._jvm
        self._root = path.rstrip("/")
        conf = spark._jsparkSession.sessionState().newHadoopConf()
        self._fs = self._path("").getFileSystem(conf)

    def _path(self, name: str):
        return self._jvm.org.apache.hadoop.fs.Path(self._root + "/" + name if name else self._root)

    def read(self, name: str) -> Optional[bytes]:
        path = self._path(name)
        if not self._fs.exists(path):
            return None
        length = self._fs.getFileStatus(path).getLen()
        stream = self._fs.open(path)
        try:
            return bytes(self._jvm.org.apache.commons.io.IOUtils.toByteArray(stream, length))
        finally:
            stream.close()

    def write(self, name: str, data: bytes) -> None:
        """Whole or not at all."""
        path, aside = self._path(name), self._path(name + ".tmp")
        stream = self._fs.create(aside, True)
        try:
            stream.write(bytearray(data))
            stream.hsync()
        finally:
            stream.close()
        self._fs.delete(path, False)
        if not self._fs.rename(aside, path):
            raise OSError("cannot rename %s into place" % aside)

    def names(self, folder: str) -> List[str]:
        path = self._path(folder)
        return [status.getPath().getName() for status in self._fs.listStatus(path)] if self._fs.exists(path) else []

    # --- ours

    def owner(self) -> Optional[dict]:
        data = self.read("windrow/pipeline.json")
        return json.loads(data) if data else None

    def claim(self, pipeline: str, out: str) -> None:
        self.write("windrow/pipeline.json", json.dumps({"pipeline": pipeline, "out": out}).encode())

    def last_done(self) -> Optional[int]:
        """The last batch that Spark holds for done."""
        return max((int(name) for name in self.names("commits") if name.isdigit()), default=None)

    def batch(self, batch_id: int) -> Optional[dict]:
        data = self.read("windrow/%d/batch.json" % batch_id)
        return json.loads(data) if data else None

    def keep(self, batch_id: int, about: dict, model: Optional[bytes] = None, lineage: Optional[bytes] = None) -> None:
        """Keeps what a batch is about to become, before it does. One that brings nothing new has no model."""
        folder = "windrow/%d/" % batch_id
        if model:
            self.write(folder + "model.bin", model)
        if lineage:
            self.write(folder + "lineage.parquet", lineage)
        self.write(folder + "batch.json", json.dumps(about).encode())
        for name in self.names("windrow"):
            if name.isdigit() and int(name) <= batch_id - KEPT:
                self._fs.delete(self._path("windrow/" + name), True)

    def model_of(self, epoch: int) -> Optional[bytes]:
        """The model of a commit, if a batch that is kept became it."""
        batches = [int(name) for name in self.names("windrow") if name.isdigit()]
        of_it = [batch for batch in batches if (self.batch(batch) or {}).get("epoch") == epoch]
        models = (self.read("windrow/%d/model.bin" % batch) for batch in of_it)
        return next((model for model in models if model), None)

    # --- Spark's

    def offsets(self, batch_id: int) -> Tuple[Dict[str, Dict[str, int]], Dict[str, Dict[str, int]]]:
        """Of a batch of Kafka's: where each partition begins, and where it ends. A partition that came with it has no beginning."""
        start = self._offsets("offsets/%d" % (batch_id - 1)) if batch_id > 0 else self._offsets("sources/0/0")
        return start, self._offsets("offsets/%d" % batch_id)

    def _offsets(self, name: str) -> Dict[str, Dict[str, int]]:
        text = (self.read(name) or b"").decode("utf-8", "replace")
        # The last line is the source's own; in front of it stand a version and what Spark keeps besides.
        lines = [line[line.find("{") :] for line in text.splitlines() if "{" in line]
        return json.loads(lines[-1]) if lines else {}
