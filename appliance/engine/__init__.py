"""Detections from the native engine: rule sets, the pipeline to the spool, and what an alert looks like in each
format.
"""
