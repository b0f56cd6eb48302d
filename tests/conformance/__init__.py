"""Other projects' test suites, run against our implementations of their interfaces."""
