"""The amphora agent: runs beside HAProxy on an amphora, serves agent API 1.0 and sends heartbeats.

Imports the standard library and amphora.wire, nothing else: it is its own distribution and has to stay small.
"""
