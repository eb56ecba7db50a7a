"""The Lambda function of the automation dialect."""
