"""The outbox: decisions and their alerts, stored before anything is sent or started."""
