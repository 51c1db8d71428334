"""The command line, a small file a verb. Data goes to stdout, everything else to stderr."""
