"""Stages that jobs of the tests run in a moment."""
