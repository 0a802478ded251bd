"""Pure flows: what happens to a payment. Time, client and journal are passed in."""
