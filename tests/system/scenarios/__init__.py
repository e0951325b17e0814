"""What is proven under fire, each at any size: tests run them small, `./dev prove` as large as it was promised.

A scenario raises AssertionError when a promise is broken, and returns in one line what it saw.
"""
