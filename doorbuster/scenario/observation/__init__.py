"""The keys of `observe`: what is observed at the target during a run."""
