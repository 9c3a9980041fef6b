"""The app: blends by hand in a browser."""
