//! Contract suites and small data for tests of algorithms.
