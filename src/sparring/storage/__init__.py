"""Files that must not be lost: atomic writes, checkpoints, run directories."""
