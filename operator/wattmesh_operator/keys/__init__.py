"""Key files in Secrets: how they are read and written, how a rotation goes on, and when one may begin."""
