"""Kills, faulty links, full disks and skewed clocks at seeded moments: nothing may be lost, doubled, or half done."""
