"""The Lambda function of the core dialect."""
