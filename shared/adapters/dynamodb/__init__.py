"""The stores on DynamoDB: items, their documents, and the conditional writes that keep them true."""
