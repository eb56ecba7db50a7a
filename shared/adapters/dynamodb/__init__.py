"""The stores on DynamoDB: items, their documents, and conditional writes."""
