"""The Lambda function of the process dialect."""
