"""The long-running edge node: watches cameras, detects objects, and specializes each camera's model meanwhile."""
