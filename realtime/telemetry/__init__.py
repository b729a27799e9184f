"""What the server tells about itself: metrics for Prometheus, structured logs for people."""
