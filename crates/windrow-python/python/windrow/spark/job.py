"""The job for spark-submit: clusters a stream of web pages. `python -m windrow.spark.job --help` prints the line to call."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import textwrap
from typing import Dict, List, Optional, Tuple

# Called by its path, Python looks for modules beside this file first: they are parts of a package, and none of them is meant.
if sys.path and os.path.abspath(sys.path[0]) == os.path.dirname(os.path.abspath(__file__)):
    del sys.path[0]

from windrow._errors import Error  # noqa: E402


def _spark() -> Tuple[str, str]:
    """The version of the Spark that was found, and its connector for Kafka."""
    try:
        import pyspark

        from windrow.spark.kafka import connector
    except ImportError:
        return "none", "org.apache.spark:spark-sql-kafka-0-10_SCALA:VERSION"
    return pyspark.__version__, connector(pyspark.__version__)


def _submit_line() -> str:
    """How this job is called with the Spark that was found."""
    version, connector = _spark()
    return textwrap.dedent(
        """\
        The line for the Spark found (%s):

          PYSPARK_PYTHON=%s \\
          spark-submit --packages %s \\
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
    ) % (version, sys.executable, connector, os.path.abspath(__file__))


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
    pairs = [_pairs(texts) for texts in (args.option, args.topics, args.conf)]
    from windrow.spark import errors

    try:
        return _run(args, *pairs)
    except Exception as error:
        told = error if isinstance(error, Error) else errors.of_spark(error)
        if told is not error:  # its whole story, in front of the sentence about it
            print(errors.story(error), file=sys.stderr)
        print("error[%s]: %s\nhint: %s" % (told.code, told.message, told.hint), file=sys.stderr)
        return errors.exit_code(told)


def _run(args: argparse.Namespace, options: Dict[str, str], topics: Dict[str, str], conf: Dict[str, str]) -> int:
    settings = _text(args.settings) if args.settings else ""
    from pyspark.sql import SparkSession

    from windrow.spark.stream import ClusterStream

    builder = SparkSession.builder.appName("windrow")
    builder = builder.master(args.master) if args.master else builder
    for key, value in conf.items():
        builder = builder.config(key, value)
    spark = builder.getOrCreate()
    try:
        more = {"settings": settings, "columns": args.columns, "topics": topics or None}
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
    finally:
        _stop(spark)


def _text(path: str) -> str:
    from windrow.spark import errors

    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except OSError as error:
        raise errors.environment("E-SETTINGS-FILE", "cannot read %s: %s" % (path, error.strerror), "look at the path and its permissions") from None
    except UnicodeDecodeError:
        raise errors.invalid("E-SETTINGS-FILE", "%s is no UTF-8" % path, "write it as UTF-8") from None


def _stop(spark) -> None:
    try:
        spark.stop()
    except Exception as error:  # a JVM that died needs no end, and its own must not hide why the run ended
        print("Spark does not answer: %s" % type(error).__name__, file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
