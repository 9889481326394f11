"""Between the words of the guide and the messages of the protos. Pure: no calls, no files."""
