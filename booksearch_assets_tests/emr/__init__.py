"""EMR Serverless without AWS: the real boto3 calls, against moto, whose jobs here really run."""
