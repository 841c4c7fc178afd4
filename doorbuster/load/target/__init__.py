"""The shop under test: its endpoint, its ledger, its clock."""
