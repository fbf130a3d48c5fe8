"""Scale-down: households beyond `replicas` settle what is open, leave the registry and go."""
