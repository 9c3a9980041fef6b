"""The demo corpus: its sentences, styles and teacher, and the builder that joins them."""
