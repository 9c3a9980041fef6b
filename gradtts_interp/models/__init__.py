"""The networks: text encoder, score network, style encoder and style attention."""
