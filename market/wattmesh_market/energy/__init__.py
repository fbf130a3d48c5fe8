"""What a household physically does: battery, sun, consumption, tariff. Pure functions of Wh and slots."""
