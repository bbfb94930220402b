"""Does a geometry of names agree with the graph? Measures, their nulls and what stands beside models; no Dagster."""
