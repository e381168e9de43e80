"""Scenes, videos, feeds and camera servers with known content."""
