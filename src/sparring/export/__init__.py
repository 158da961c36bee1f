"""Agents for other programs: ONNX graphs, folders for the Hugging Face Hub."""
