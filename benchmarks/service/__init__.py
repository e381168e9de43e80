"""How much the annotation service adds to its models: time per request, throughput, memory."""
