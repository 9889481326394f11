"""Writes ONNX graphs: the seeded twins of published models, and models that come as bare weights."""
