"""AutoML systems on tables that the portfolio does not know: tables, runs, summary."""
