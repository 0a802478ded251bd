"""Pure flow: what happens to a payment, decided on handed-in time, client and journal."""
