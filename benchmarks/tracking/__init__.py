"""How well objects keep their ids, beside ByteTrack on the same boxes."""
