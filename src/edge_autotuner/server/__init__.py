"""The service in the data center: groundtruth models annotate the pictures of edge nodes, over HTTP."""
