"""Services, proxies, databases and jobs that tests control."""
