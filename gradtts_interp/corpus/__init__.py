"""The demo corpus: sentences, flite, labels, WORLD, and the builder that joins them."""
