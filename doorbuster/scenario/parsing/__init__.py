"""Reading YAML into checked values: documents with positions, value types, diagnostics."""
