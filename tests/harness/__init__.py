"""What the suites share: tools, processes, brokers, the closing count."""
