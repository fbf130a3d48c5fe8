"""How far a buyer is trusted, and what an adviser may choose."""
