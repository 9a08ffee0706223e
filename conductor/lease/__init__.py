"""The roles of conductors that share a database: keeps the lease, and shows on a standby what the active one stores."""
