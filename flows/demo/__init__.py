"""`make drift-demo`: the loop, live, on a replayed feed. Everything is real but the calendar, which runs faster."""
