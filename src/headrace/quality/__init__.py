"""Great Expectations: suites as code for every table and for the training set, and the checks that run them."""
