"""What every service needs to be a good gRPC server, and nothing about what any of them does."""
