"""Windrow on Spark.

``WindrowClusterer`` and ``WindrowClustererModel`` are an estimator and its model in the manner of ``pyspark.ml``.
"""

from windrow.spark._estimator import WindrowClusterer, WindrowClustererModel

__all__ = ["WindrowClusterer", "WindrowClustererModel"]
