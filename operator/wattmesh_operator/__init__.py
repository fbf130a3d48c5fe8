"""What shall run: custom resources, read, checked and turned into a plan of pods."""
