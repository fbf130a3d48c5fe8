"""Those who trade: household and utility, and what both do as buyer and as seller."""
