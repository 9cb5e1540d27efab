"""One file per verb: a plain function that takes a request, returns a result and prints nothing."""
