"""Charts, heatmaps and their palette."""
