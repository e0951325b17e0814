"""The measurements of docs/performance.md, each beside its baseline in the same run."""
