"""The model: encoders, decoders, and the captioner that joins them."""
