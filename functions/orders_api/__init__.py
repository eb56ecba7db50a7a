"""The Lambda function of the orders dialect."""
