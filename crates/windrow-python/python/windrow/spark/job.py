"""The job for spark-submit: clusters a stream of web pages. `python -m windrow.spark.job --help` prints the line to call."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import textwrap
from typing import Dict, List, Optional

# Called by its path, Python looks for modules beside this file first: they are parts of a package, and none of them is meant.
if sys.path and os.path.abspath(sys.path[0]) == os.path.dirname(os.path.abspath(__file__)):
    del sys.path[0]

from windrow._errors import Error  # noqa: E402


def _spark_version() -> str:
    try:
        import pyspark

        return pyspark.__version__
    except ImportError:
        return ""


def _submit_line() -> str:
    """How this job is called with the Spark that was found."""
    version = _spark_version() or "SPARK_VERSION"
    scala = "2.12" if version.startswith("3.") else "2.13"
    return textwrap.dedent(
        """\
        The line for the Spark found (%s):

          PYSPARK_PYTHON=%s \\
          spark-submit --packages org.apache.spark:spark-sql-kafka-0-10_%s:%s \\
            %s \\
            --format kafka --option kafka.bootstrap.servers=BROKER:9092 --option subscribe=TOPIC \\
            --out OUT --checkpoint CHECKPOINT

        Without Kafka leave --packages out: --format csv --option path=FOLDER.

        The package must be importable where executors run. It has native code, so --py-files does not carry it: install it into the
        same virtual environment on every machine and name that one's Python in PYSPARK_PYTHON, as above; or pack the environment
        (venv-pack -o environment.tar.gz) and send it along: --archives environment.tar.gz#environment with
        PYSPARK_PYTHON=./environment/bin/python, and PYSPARK_DRIVER_PYTHON for the driver's own.

        OUT lies where the driver and all executors see it under one name. Stop the job with Ctrl-C or SIGTERM; the same line goes on.
        """
    ) % (version, sys.executable, scala, version, os.path.abspath(__file__))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m windrow.spark.job",
        description="Clusters a stream of web pages with Spark Structured Streaming, exactly once into Parquet.",
        epilog=_submit_line(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--format", required=True, choices=("kafka", "csv", "json", "parquet"), help="what is read")
    pair = {"action": "append", "default": [], "metavar": "KEY=VALUE"}
    parser.add_argument("--option", help="an option of Spark's source: path, subscribe, maxOffsetsPerTrigger, maxFilesPerTrigger …", **pair)
    parser.add_argument("--out", required=True, help="folder of the outputs")
    parser.add_argument("--checkpoint", required=True, help="Spark's checkpoint folder, on any file system of Spark's")
    parser.add_argument("--settings", metavar="FILE", help="settings file (TOML), as `windrow config show` prints it")
    parser.add_argument("--columns", default="", help="what the input calls our columns: url=landing_page,title=name")
    to_topics = "an option of Spark's Kafka sink, to send pages to topics too, at least once: kafka.bootstrap.servers, topicPrefix (cluster_)"
    parser.add_argument("--topics", help=to_topics, **pair)
    ways = "what the driver learns: all pages, or those that the model as of the batch before does not explain and a sample of the others"
    parser.add_argument("--learn", choices=("all", "sample"), default="all", help=ways + " (all)")
    parser.add_argument("--sample", type=float, metavar="SHARE", help="share of the explained pages that is learnt with --learn sample (0.1)")
    when = parser.add_mutually_exclusive_group()
    when.add_argument("--every", metavar="TIME", help="a batch every so often, such as `10 seconds`; else as soon as the last one is done")
    when.add_argument("--available-now", action="store_true", help="take what is there now, and end")
    parser.add_argument("--master", help="where to run, without spark-submit: local[2]")
    parser.add_argument("--conf", help="a setting of Spark's, without spark-submit", **pair)
    return parser


def _pairs(texts: List[str]) -> Dict[str, str]:
    pairs = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise SystemExit("`%s` is not of the form KEY=VALUE" % text)
        pairs[key] = value
    return pairs


def _trigger(args: argparse.Namespace) -> dict:
    if args.available_now:
        return {"availableNow": True}
    return {"processingTime": args.every} if args.every else {}


def main(argv: Optional[List[str]] = None) -> int:
    args = _parser().parse_args(argv)
    options, conf = _pairs(args.option), _pairs(args.conf)
    settings = ""
    if args.settings:
        with open(args.settings, encoding="utf-8") as file:
            settings = file.read()
    from pyspark.sql import SparkSession

    from windrow.spark import errors
    from windrow.spark.stream import ClusterStream

    builder = SparkSession.builder.appName("windrow")
    builder = builder.master(args.master) if args.master else builder
    for key, value in conf.items():
        builder = builder.config(key, value)
    spark = builder.getOrCreate()
    try:
        more = {"settings": settings, "columns": args.columns, "topics": _pairs(args.topics) or None}
        more.update(learn=args.learn, sample=args.sample)
        stream = ClusterStream(spark, args.format, options, args.out, args.checkpoint, **more)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stream.stop())
        is_done = stream.run(**_trigger(args))
        if args.learn == "sample":
            print("%d of %d pages were learnt, the others counted where the model had them" % (stream.learnt, stream.pages), file=sys.stderr)
        if is_done:
            return 0
        print("stopped; the same line goes on from the last commit", file=sys.stderr)
        return 130
    except Error as error:
        print("error[%s]: %s\nhint: %s" % (error.code, error.message, error.hint), file=sys.stderr)
        return errors.exit_code(error)
    finally:
        spark.stop()


if __name__ == "__main__":
    sys.exit(main())
