"""Vectors from Amazon SageMaker: the container that computes them, and asking an endpoint that runs it.

Belongs here: what requests and answers look like, the container's process, the client of an endpoint. Does not: the
model (`clip`), what exists on AWS (`infra/sagemaker.yaml`), Dagster. `handler` and `server` need no more than the image
of `docker/sagemaker` has.
"""
