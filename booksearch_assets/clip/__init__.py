"""From pictures and words to vectors in one space: model bundles, preprocessing, encoders.

What belongs here: everything that knows about dual encoders (CLIP, SigLIP) and their files. What does
not: Dagster, Spark, vector stores, and where pictures come from. Importing any module of this package
is cheap; torch, transformers and OpenVINO are imported by the functions that need them.
"""
