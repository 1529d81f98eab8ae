"""Vectors of many pictures by jobs of SageMaker Batch Transform, in place of Spark.

    inputs      pictures to JSON Lines in S3
    submit      the request, and the three calls about a job
    watch       from its start to its end
    collect     what came out, joined by key
    cost        prices, estimates, budgets
    log         the last words of a container
    stage       all of it as one stage: work list in, shards of vectors out

Belongs here: the jobs. Does not: what a container answers (`sagemaker.handler`), Dagster (`resources.batch_transform`).
The image of `docker/sagemaker` is built without this folder.
"""
