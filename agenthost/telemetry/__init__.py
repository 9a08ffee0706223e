"""Shows operators a host from outside: metrics. Their library is imported only where a setting asks for them."""
