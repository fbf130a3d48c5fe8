"""The codec of Beckn v2.0.0 LTS."""
