"""Alert delivery through Apprise: channels, retries, digests."""
