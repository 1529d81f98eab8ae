"""The AWS side of a deployment: creating, changing and deleting the CloudFormation stacks of `infra/`.

Belongs here: change sets and their preview, stack states, emptying the bucket, and the `booksearch aws` commands.
Does not: what is created (`infra/*.yaml`), running Spark jobs (`resources`), Dagster.
"""
