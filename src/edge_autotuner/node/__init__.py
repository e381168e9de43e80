"""The edge node: cameras are watched for ever, and learn by themselves beside the detection."""
