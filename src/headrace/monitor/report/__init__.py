"""The drift report: HTML pages drawn by Evidently, and the server that shows them."""
