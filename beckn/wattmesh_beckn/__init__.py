"""What gateway, agents and operator all speak: Beckn messages, signatures, client and server ends."""
