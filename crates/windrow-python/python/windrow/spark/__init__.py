"""Windrow on Spark.

``WindrowClusterer`` and ``WindrowClustererModel`` are an estimator and its model in the manner of ``pyspark.ml``; ``ClusterStream`` is a pipeline
of Structured Streaming, which ``windrow.spark.job`` runs from the command line.
"""

from windrow.spark._estimator import WindrowClusterer, WindrowClustererModel
from windrow.spark.stream import ClusterStream

__all__ = ["ClusterStream", "WindrowClusterer", "WindrowClustererModel"]
