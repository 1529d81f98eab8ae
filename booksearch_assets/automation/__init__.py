"""When things run and in what portions: partitions and jobs.

Belongs here: partitions, jobs, schedules, sensors. Does not: what a run does (`assets`).
"""
