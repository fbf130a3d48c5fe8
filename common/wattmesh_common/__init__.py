"""What is neither market nor protocol: clock, logs, files, limits, serving, and what the packages say to each other."""
