"""A container that takes jobs of one kind from an SQS queue until it is empty, and then ends.

`stop`, `queue`, `loop` and `failure` are what every such worker needs; `upload` makes a job of an
S3 event; `kinds` has one module for each sort of job.
"""
