"""The codec of Beckn core 1.1."""
