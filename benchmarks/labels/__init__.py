"""How good labels are: spurious classes, labels that judge models, and whether a teacher is better than its student.

Cameras are simulated, with exact truth, or clips of the data folder whose classes somebody has looked up. Each is
captured and labelled once, by two teachers; the measurements work on what is stored.
"""
