"""Looking at what moves instead of whole frames: accuracy against milliseconds."""
